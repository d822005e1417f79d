// The text parsers: check the arguments, release the GIL, call.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bindings/arguments.h"
#include "text/csv.h"
#include "text/lines.h"

namespace py = pybind11;

namespace {

using rbmx::bindings::checked;
using rbmx::text::CsvFault;
using rbmx::text::CsvLabel;
using rbmx::text::CsvProgress;

[[noreturn]] void refuse(const std::string& message) { throw py::value_error(message); }

std::string_view bytes_of(const py::buffer_info& text) {
  if (text.ndim != 1 || text.itemsize != 1 || (text.size > 0 && text.strides[0] != 1)) {
    refuse("text: expected contiguous bytes");
  }
  return {static_cast<const char*>(text.ptr), static_cast<std::size_t>(text.size)};
}

void require_writeable(const py::array& array, const char* name) {
  if (!array.writeable()) refuse(std::string(name) + ": expected a writeable array");
}

CsvLabel label_named(const std::optional<std::string>& name) {
  if (!name) return CsvLabel::kNone;
  if (*name == "first") return CsvLabel::kFirst;
  if (*name == "last") return CsvLabel::kLast;
  refuse("label: expected \"first\", \"last\" or None, got \"" + *name + "\"");
}

const char* name_of(CsvFault fault) {
  switch (fault) {
    case CsvFault::kNone:
      return "";
    case CsvFault::kEmptyLine:
      return "empty_line";
    case CsvFault::kEmptyField:
      return "empty_field";
    case CsvFault::kTooFewFields:
      return "too_few_fields";
    case CsvFault::kTooManyFields:
      return "too_many_fields";
    case CsvFault::kQuote:
      return "quote";
    case CsvFault::kNulByte:
      return "nul_byte";
    case CsvFault::kNotANumber:
      return "not_a_number";
    case CsvFault::kNotFinite:
      return "not_finite";
    case CsvFault::kNotUint8:
      return "not_uint8";
    case CsvFault::kNotAnInteger:
      return "not_an_integer";
  }
  return "";
}

py::tuple parse_csv(const py::buffer& text, const std::optional<std::string>& label,
                    py::array& values, const std::optional<py::array>& labels) {
  const py::buffer_info buffer = text.request();
  const std::string_view view = bytes_of(buffer);
  if (!view.empty() && view.back() != '\n') refuse("text: expected whole lines, each ended by \\n");
  const CsvLabel place = label_named(label);
  const bool small = values.dtype().is(py::dtype::of<std::uint8_t>());
  if (small) {
    checked<std::uint8_t>(values, "values", {-1, -1});
  } else {
    checked<float>(values, "values", {-1, -1});
  }
  require_writeable(values, "values");
  const std::int64_t rows = values.shape(0), n_values = values.shape(1);
  if (n_values < 1) refuse("values: expected at least one column");
  std::int64_t* label_out = nullptr;
  if (place != CsvLabel::kNone) {
    if (!labels) refuse("labels: expected int64 (" + std::to_string(rows) + "), got None");
    auto checked_labels = checked<std::int64_t>(*labels, "labels", {rows});
    require_writeable(checked_labels, "labels");
    label_out = checked_labels.mutable_data();
  }
  void* const out = values.mutable_data();
  CsvProgress progress;
  {
    const py::gil_scoped_release release;
    progress = small ? rbmx::text::parse_csv(view, n_values, place, rows,
                                             static_cast<std::uint8_t*>(out), label_out)
                     : rbmx::text::parse_csv(view, n_values, place, rows, static_cast<float*>(out),
                                             label_out);
  }
  return py::make_tuple(progress.rows, progress.end, name_of(progress.fault), progress.column,
                        progress.field, progress.field_end, progress.next_line);
}

py::tuple mark_lines(const py::buffer& text, std::int64_t every, std::int64_t seen,
                     py::array& offsets) {
  const py::buffer_info buffer = text.request();
  const std::string_view view = bytes_of(buffer);
  if (every < 1) refuse("every: expected at least 1, got " + std::to_string(every));
  if (seen < 0) refuse("seen: expected at least 0, got " + std::to_string(seen));
  checked<std::int64_t>(offsets, "offsets", {-1});
  require_writeable(offsets, "offsets");
  if (offsets.shape(0) <= static_cast<std::int64_t>(view.size()) / every) {
    refuse("offsets: expected more than len(text) / every entries");
  }
  auto* const out = static_cast<std::int64_t*>(offsets.mutable_data());
  rbmx::text::LineCount count;
  {
    const py::gil_scoped_release release;
    count = rbmx::text::mark_lines(view, every, seen, out);
  }
  return py::make_tuple(count.newlines, count.marked);
}

}  // namespace

void bind_text(py::module_& module) {
  module.def("parse_csv", &parse_csv, py::arg("text"), py::arg("label"),
             py::arg("values").noconvert(), py::arg("labels").noconvert(),
             "Parse whole lines into values and labels; returns (rows, end, fault, column, field, "
             "field_end, next_line).");
  module.def("mark_lines", &mark_lines, py::arg("text"), py::arg("every"), py::arg("seen"),
             py::arg("offsets").noconvert(),
             "Write the offsets behind every `every`-th newline; returns (newlines, marked).");
}
