// Argument checks shared by the bindings: each names the argument, what was expected and what came.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "rbmx/bits.h"
#include "rbmx/kernels.h"
#include "rbmx/usable.h"

namespace rbmx {
namespace bindings {

namespace py = pybind11;

// dtypes are exact: an implicit conversion would be a silent copy
template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
py::array_t<T, py::array::c_style> checked(const py::array& array, const char* name,
                                           std::initializer_list<std::int64_t> shape) {
  // an equal dtype need not be the same object: that of an array out of a pickle is not
  bool fits = py::isinstance<py::array_t<T>>(array) &&
              array.ndim() == static_cast<py::ssize_t>(shape.size()) &&
              (array.flags() & py::array::c_style) != 0;
  py::ssize_t axis = 0;
  for (const std::int64_t n : shape) {
    if (fits && n >= 0 && array.shape(axis) != n) fits = false;
    ++axis;
  }
  if (!fits) {
    std::string expected = std::string(py::str(py::dtype::of<T>())) + " (";
    for (const std::int64_t n : shape) expected += (n < 0 ? "rows" : std::to_string(n)) + ", ";
    const std::string got =
        std::string(py::str(array.dtype())) + " " + std::string(py::str(array.attr("shape")));
    throw py::value_error(std::string(name) + ": expected a C-contiguous " +
                          expected.substr(0, expected.size() - 2) + "), got " + got);
  }
  return py::reinterpret_borrow<py::array_t<T, py::array::c_style>>(array);
}

inline Parameters parameters(const py::array& weight, const py::array& visible_bias,
                             const py::array& hidden_bias, const char* prefix, bool writable) {
  const std::string at(prefix);
  if (weight.ndim() != 2)
    throw py::value_error(at + "weight: expected (n_hidden, n_visible), got " +
                          std::string(py::str(weight.attr("shape"))));
  const std::int64_t n_hidden = weight.shape(0), n_visible = weight.shape(1);
  if (n_hidden < 1 || n_visible < 1 || n_hidden > kMaxUnits || n_visible > kMaxUnits) {
    throw py::value_error(at + "weight: expected 1 to 16777216 units on each side, got " +
                          std::string(py::str(weight.attr("shape"))));
  }
  auto w = checked<float>(weight, (at + "weight").c_str(), {n_hidden, n_visible});
  auto b = checked<float>(visible_bias, (at + "visible_bias").c_str(), {n_visible});
  auto c = checked<float>(hidden_bias, (at + "hidden_bias").c_str(), {n_hidden});
  if (writable && !(w.writeable() && b.writeable() && c.writeable())) {
    throw py::value_error(at + "weight, visible_bias, hidden_bias: expected writable arrays");
  }
  return {const_cast<float*>(w.data()), const_cast<float*>(b.data()), const_cast<float*>(c.data()),
          n_visible, n_hidden};
}

// for kernels that sum weights in integers
inline void require_usable(const Model& m, const std::string& prefix) {
  if (usable(m)) return;
  throw py::value_error(
      prefix +
      "weight, visible_bias, hidden_bias: expected finite numbers of magnitude up to 2047, "
      "and the magnitudes of a unit's weights to sum to less than 2048 (have the weights "
      "diverged?)");
}

inline Model model(const py::array& weight, const py::array& visible_bias,
                   const py::array& hidden_bias) {
  const Model m = parameters(weight, visible_bias, hidden_bias, "", false);
  require_usable(m, "");
  return m;
}

// a set bit behind the last unit would name a weight that is not there
inline void refuse_tail(const std::uint64_t* words, std::int64_t rows, std::int64_t units,
                        const char* name) {
  if (units % 64 == 0) return;
  const std::int64_t stride = words_for(units);
  for (std::int64_t row = 0; row < rows; ++row) {
    if (words[row * stride + stride - 1] >> (units % 64) != 0) {
      throw py::value_error(std::string(name) + ": expected zero bits behind the " +
                            std::to_string(units) + " units of row " + std::to_string(row));
    }
  }
}

inline Bits bits(const py::array& words, const char* name, std::int64_t units) {
  auto w = checked<std::uint64_t>(words, name, {-1, words_for(units)});
  refuse_tail(w.data(), w.shape(0), units, name);
  return {w.data(), w.shape(0), units, words_for(units)};
}

inline MutableBits mutable_bits(const py::array& words, const char* name, std::int64_t units) {
  auto w = checked<std::uint64_t>(words, name, {-1, words_for(units)});
  if (!w.writeable()) throw py::value_error(std::string(name) + ": expected a writable array");
  refuse_tail(w.data(), w.shape(0), units, name);
  return {w.mutable_data(), w.shape(0), units, words_for(units)};
}

inline Side side(const std::string& name) {
  if (name == "hidden") return Side::hidden;
  if (name == "visible") return Side::visible;
  throw py::value_error("side: expected 'hidden' or 'visible', got '" + name + "'");
}

inline Place place(std::pair<std::uint32_t, std::uint32_t> key, std::int64_t first_row,
                   std::uint32_t step) {
  if (first_row < 0)
    throw py::value_error("first_row: expected 0 or more, got " + std::to_string(first_row));
  return {{key.first, key.second}, first_row, step};
}

}  // namespace bindings
}  // namespace rbmx
