// Row-wise kernels over packed bits, the sums of contrastive divergence, and the canonical product.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/arguments.h"
#include "bindings/session.h"
#include "bindings/units.h"
#include "ref/ref.h"

namespace rbmx {
namespace bindings {

namespace {

using KeyWords = std::pair<std::uint32_t, std::uint32_t>;

std::int64_t work(const Model& m, std::int64_t rows) { return rows * m.n_visible * m.n_hidden; }
std::int64_t units_in(const Model& m, Side s) {
  return s == Side::hidden ? m.n_visible : m.n_hidden;
}
std::int64_t units_out(const Model& m, Side s) {
  return s == Side::hidden ? m.n_hidden : m.n_visible;
}

py::array mean(const py::array& weight, const py::array& visible_bias, const py::array& hidden_bias,
               const std::string& side_name, const py::array& given, const OwnedUnits& units,
               bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias, units);
  const Side s = side(side_name);
  const Bits in = bits(given, "given", units_in(m, s));
  Array<float> out({in.rows, units_out(m, s)});
  float* values = out.mutable_data();
  {
    const py::gil_scoped_release release;
    Team threads = team(work(m, in.rows));
    reference ? ref::mean(m, s, in, values) : kernels().mean(threads, m, s, in, values);
  }
  return out;
}

py::array sample(const py::array& weight, const py::array& visible_bias,
                 const py::array& hidden_bias, const std::string& side_name, const py::array& given,
                 KeyWords key, std::int64_t first_row, std::uint32_t step, const OwnedUnits& units,
                 bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias, units);
  const Side s = side(side_name);
  const Bits in = bits(given, "given", units_in(m, s));
  const Place at = place(key, first_row, step);
  Array<std::uint64_t> out({in.rows, words_for(units_out(m, s))});
  std::fill_n(out.mutable_data(), out.size(), 0);
  const MutableBits samples = mutable_bits(out, "out", units_out(m, s));
  {
    const py::gil_scoped_release release;
    Team threads = team(work(m, in.rows));
    reference ? ref::sample(m, s, in, at, samples)
              : kernels().sample(threads, m, s, in, at, samples);
  }
  return out;
}

// of real-valued rows: means, or samples, which are bits of Bernoulli units and values of others
py::array run_dense(const py::array& weight, const py::array& visible_bias,
                    const py::array& hidden_bias, const std::string& side_name,
                    const py::array& given, const Place& at, const OwnedUnits& units,
                    bool canonical, bool sampling, bool reference) {
  const Model m = real_parameters(weight, visible_bias, hidden_bias, units, false);
  const Side s = side(side_name);
  const auto in = checked<float>(given, "given", {-1, units_in(m, s)});
  const Reals rows = {in.data(), in.shape(0), units_in(m, s)};
  const std::int64_t n_out = units_out(m, s);
  const bool bits =
      sampling && (s == Side::hidden ? m.units.hidden : m.units.visible) == Unit::bernoulli;
  Array<float> values({bits ? 0 : rows.rows, n_out});
  Array<std::uint64_t> words({bits ? rows.rows : 0, words_for(n_out)});
  std::fill_n(words.mutable_data(), words.size(), 0);
  float* out = values.mutable_data();
  Samples samples = {};
  if (bits) samples.bits = mutable_bits(words, "out", n_out);
  if (sampling && !bits) samples = {{}, out, n_out};
  float* means = sampling ? nullptr : out;
  {
    const py::gil_scoped_release release;
    Team threads = team(work(m, rows.rows));
    reference
        ? ref::mean_dense(m, s, rows, at, means, samples)
        : kernels().mean_dense(threads, m, s, rows, at,
                               canonical ? Product::canonical : Product::blas, means, samples);
  }
  return bits ? py::array(words) : py::array(values);
}

py::array mean_dense(const py::array& weight, const py::array& visible_bias,
                     const py::array& hidden_bias, const std::string& side_name,
                     const py::array& given, const OwnedUnits& units, bool canonical,
                     bool reference) {
  return run_dense(weight, visible_bias, hidden_bias, side_name, given, {}, units, canonical, false,
                   reference);
}

py::array sample_dense(const py::array& weight, const py::array& visible_bias,
                       const py::array& hidden_bias, const std::string& side_name,
                       const py::array& given, KeyWords key, std::int64_t first_row,
                       std::uint32_t step, const OwnedUnits& units, bool canonical,
                       bool reference) {
  return run_dense(weight, visible_bias, hidden_bias, side_name, given, place(key, first_row, step),
                   units, canonical, true, reference);
}

void gibbs(const py::array& weight, const py::array& visible_bias, const py::array& hidden_bias,
           const py::array& visible, std::int64_t steps, KeyWords key, std::int64_t first_row,
           std::uint32_t step, const OwnedUnits& units, bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias, units);
  const MutableBits v = mutable_bits(visible, "visible", m.n_visible);
  const Place at = place(key, first_row, step);
  if (steps < 0) throw py::value_error("steps: expected 0 or more, got " + std::to_string(steps));
  const py::gil_scoped_release release;
  Team threads = team(work(m, v.rows));
  reference ? ref::gibbs(m, v, steps, at) : kernels().gibbs(threads, m, v, steps, at);
}

py::array free_energy(const py::array& weight, const py::array& visible_bias,
                      const py::array& hidden_bias, const py::array& visible, bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias);
  const Bits v = bits(visible, "visible", m.n_visible);
  Array<double> out(v.rows);
  double* values = out.mutable_data();
  {
    const py::gil_scoped_release release;
    Team threads = team(work(m, v.rows));
    reference ? ref::free_energy(m, v, values) : kernels().free_energy(threads, m, v, values);
  }
  return out;
}

py::tuple cd_statistics(const py::array& weight, const py::array& visible_bias,
                        const py::array& hidden_bias, const py::array& visible,
                        std::int64_t gibbs_steps, KeyWords key, std::int64_t first_row,
                        std::uint32_t step, const OwnedUnits& units, bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias, units);
  const Bits v = bits(visible, "visible", m.n_visible);
  const Place at = place(key, first_row, step);
  if (gibbs_steps < 1)
    throw py::value_error("gibbs_steps: expected 1 or more, got " + std::to_string(gibbs_steps));
  Array<std::int64_t> w({m.n_hidden, m.n_visible}), b(m.n_visible), c(m.n_hidden);
  std::fill_n(w.mutable_data(), w.size(), 0);
  std::fill_n(b.mutable_data(), b.size(), 0);
  std::fill_n(c.mutable_data(), c.size(), 0);
  const Statistics sums = {w.mutable_data(), b.mutable_data(), c.mutable_data()};
  {
    const py::gil_scoped_release release;
    Team threads = team(work(m, v.rows));
    reference ? ref::cd_statistics(m, v, gibbs_steps, at, sums)
              : kernels().cd_statistics(threads, m, v, gibbs_steps, at, sums);
  }
  return py::make_tuple(w, b, c);
}

void require_float_matrix(const py::array& a, const char* name) {
  const bool fits = py::isinstance<py::array_t<float>>(a) && a.ndim() == 2 &&
                    a.strides(0) % sizeof(float) == 0 && a.strides(1) % sizeof(float) == 0;
  if (!fits) {
    throw py::value_error(
        std::string(name) + ": expected a float32 matrix with whole strides, got " +
        std::string(py::str(a.dtype())) + " " + std::string(py::str(a.attr("shape"))));
  }
}

// a (m, k) and b (k, n) may be strided views, so a transposed operand costs no copy
py::array gemm(const py::array& a, const py::array& b, bool reference) {
  require_float_matrix(a, "a");
  require_float_matrix(b, "b");
  if (a.shape(1) != b.shape(0)) {
    throw py::value_error("a, b: expected (m, k) and (k, n), got " +
                          std::string(py::str(a.attr("shape"))) + " and " +
                          std::string(py::str(b.attr("shape"))));
  }
  const std::int64_t m = a.shape(0), k = a.shape(1), n = b.shape(1), f = sizeof(float);
  Array<float> c({m, n});
  float* out = c.mutable_data();
  const auto* x = static_cast<const float*>(a.data());
  const auto* y = static_cast<const float*>(b.data());
  const std::int64_t a_row = a.strides(0) / f, a_col = a.strides(1) / f, b_row = b.strides(0) / f,
                     b_col = b.strides(1) / f;
  {
    const py::gil_scoped_release release;
    Team threads = team(m * k * n);
    reference ? ref::gemm(m, n, k, x, a_row, a_col, y, b_row, b_col, out)
              : kernels().gemm(threads, m, n, k, x, a_row, a_col, y, b_row, b_col, out);
  }
  return c;
}

}  // namespace

void bind_rows(py::module_& m) {
  m.def("mean", &mean, py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("side"), py::arg("given"), py::kw_only(), py::arg("units") = OwnedUnits(),
        py::arg("reference") = false);
  m.def("mean_dense", &mean_dense, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("side"), py::arg("given"), py::kw_only(),
        py::arg("units") = OwnedUnits(), py::arg("canonical") = false,
        py::arg("reference") = false);
  m.def("sample_dense", &sample_dense, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("side"), py::arg("given"), py::kw_only(), py::arg("key"),
        py::arg("first_row") = 0, py::arg("step") = 0, py::arg("units") = OwnedUnits(),
        py::arg("canonical") = false, py::arg("reference") = false);
  m.def("sample", &sample, py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("side"), py::arg("given"), py::kw_only(), py::arg("key"), py::arg("first_row") = 0,
        py::arg("step") = 0, py::arg("units") = OwnedUnits(), py::arg("reference") = false);
  m.def("gibbs", &gibbs, py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("visible"), py::kw_only(), py::arg("steps"), py::arg("key"),
        py::arg("first_row") = 0, py::arg("step") = 0, py::arg("units") = OwnedUnits(),
        py::arg("reference") = false);
  m.def("free_energy", &free_energy, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("visible"), py::kw_only(), py::arg("reference") = false);
  m.def("cd_statistics", &cd_statistics, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("visible"), py::kw_only(), py::arg("gibbs_steps"),
        py::arg("key"), py::arg("first_row") = 0, py::arg("step") = 0,
        py::arg("units") = OwnedUnits(), py::arg("reference") = false);
  m.def("gemm", &gemm, py::arg("a"), py::arg("b"), py::kw_only(), py::arg("reference") = false);
}

}  // namespace bindings
}  // namespace rbmx
