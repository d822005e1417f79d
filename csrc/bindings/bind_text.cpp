// The text parsers: check the arguments, release the GIL, call.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bindings/arguments.h"
#include "bindings/session.h"
#include "rbmx/arena.h"
#include "rbmx/bits.h"
#include "text/base64.h"
#include "text/csv.h"
#include "text/lines.h"

namespace py = pybind11;

namespace {

using rbmx::CsvLabel;
using rbmx::CsvLines;
using rbmx::CsvRows;
using rbmx::bindings::checked;
using rbmx::text::CsvFault;
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
  if (!name) return CsvLabel::none;
  if (*name == "first") return CsvLabel::first;
  if (*name == "last") return CsvLabel::last;
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

CsvLines lines_of(const py::buffer_info& text, std::int64_t n_values,
                  const std::optional<std::string>& label, std::int64_t max_rows) {
  const std::string_view view = bytes_of(text);
  if (!view.empty() && view.back() != '\n') refuse("text: expected whole lines, each ended by \\n");
  return {view.data(), view.data() + view.size(), n_values, label_named(label), max_rows};
}

// Two megabytes are parsed in a fraction of a millisecond: a busy machine may hold up the start of
// a team for longer than less than that takes.
constexpr std::int64_t kBytesPerThread = std::int64_t{1} << 21;

// Releases the GIL and calls; rows still lacks its labels.
py::tuple parse(const CsvLines& lines, CsvRows rows, const std::optional<py::array>& labels,
                std::int64_t bytes_per_thread) {
  if (bytes_per_thread < 1) {
    refuse("bytes_per_thread: expected at least 1, got " + std::to_string(bytes_per_thread));
  }
  if (lines.label != CsvLabel::none) {
    if (!labels)
      refuse("labels: expected int64 (" + std::to_string(lines.max_rows) + "), got None");
    auto checked_labels = checked<std::int64_t>(*labels, "labels", {lines.max_rows});
    require_writeable(checked_labels, "labels");
    rows.labels = checked_labels.mutable_data();
  }
  const rbmx::KernelTable& kernels = rbmx::bindings::kernels();
  const std::int64_t worth = (lines.end - lines.begin) / bytes_per_thread;
  rbmx::Team team(static_cast<int>(std::min<std::int64_t>(worth, rbmx::bindings::num_threads())));
  CsvProgress progress;
  {
    const py::gil_scoped_release release;
    rbmx::Arena arena;
    auto* const scratch = arena.take<std::uint8_t>(team.size() * rbmx::csv_scratch(lines.n_values));
    progress = rbmx::text::parse_csv(team, lines, rows, kernels, scratch);
  }
  return py::make_tuple(progress.rows, progress.end, name_of(progress.fault), progress.column,
                        progress.field, progress.field_end, progress.next_line);
}

py::tuple parse_csv(const py::buffer& text, const std::optional<std::string>& label,
                    py::array& values, const std::optional<py::array>& labels,
                    std::int64_t bytes_per_thread) {
  const py::buffer_info buffer = text.request();
  const bool small = py::isinstance<py::array_t<std::uint8_t>>(values);
  if (small) {
    checked<std::uint8_t>(values, "values", {-1, -1});
  } else {
    checked<float>(values, "values", {-1, -1});
  }
  require_writeable(values, "values");
  if (values.shape(1) < 1) refuse("values: expected at least one column");
  const CsvLines lines = lines_of(buffer, values.shape(1), label, values.shape(0));
  CsvRows rows{};
  if (small) {
    rows.bytes = static_cast<std::uint8_t*>(values.mutable_data());
  } else {
    rows.reals = static_cast<float*>(values.mutable_data());
  }
  return parse(lines, rows, labels, bytes_per_thread);
}

py::tuple parse_csv_bits(const py::buffer& text, const std::optional<std::string>& label,
                         double threshold, std::int64_t n_values, py::array& words,
                         const std::optional<py::array>& labels, std::int64_t bytes_per_thread) {
  const py::buffer_info buffer = text.request();
  if (std::isnan(threshold)) refuse("threshold: expected a number, got nan");
  if (n_values < 1) refuse("n_values: expected at least 1, got " + std::to_string(n_values));
  checked<std::uint64_t>(words, "words", {-1, rbmx::words_for(n_values)});
  require_writeable(words, "words");
  const CsvLines lines = lines_of(buffer, n_values, label, words.shape(0));
  CsvRows rows{};
  rows.words = static_cast<std::uint64_t*>(words.mutable_data());
  rows.threshold = threshold;
  return parse(lines, rows, labels, bytes_per_thread);
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

py::bytes decode_base64(const py::buffer& text) {
  const py::buffer_info buffer = text.request();
  const std::string_view view = bytes_of(buffer);
  const std::size_t size = rbmx::text::decoded_size(view);
  py::bytes decoded(nullptr, size);
  auto* out = reinterpret_cast<unsigned char*>(PyBytes_AS_STRING(decoded.ptr()));
  bool good = false;
  {
    const py::gil_scoped_release release;
    good = rbmx::text::decode_base64(view, out);
  }
  if (!good) refuse("text: expected base64, padded and without line breaks");
  return decoded;
}

}  // namespace

void bind_text(py::module_& module) {
  module.def("parse_csv", &parse_csv, py::arg("text"), py::arg("label"),
             py::arg("values").noconvert(), py::arg("labels").noconvert(), py::kw_only(),
             py::arg("bytes_per_thread") = kBytesPerThread,
             "Parse whole lines into values and labels; returns (rows, end, fault, column, field, "
             "field_end, next_line).");
  module.def("parse_csv_bits", &parse_csv_bits, py::arg("text"), py::arg("label"),
             py::arg("threshold"), py::arg("n_values"), py::arg("words").noconvert(),
             py::arg("labels").noconvert(), py::kw_only(),
             py::arg("bytes_per_thread") = kBytesPerThread,
             "The same into packed bits: 1 where a value is greater than the threshold.");
  module.def("mark_lines", &mark_lines, py::arg("text"), py::arg("every"), py::arg("seen"),
             py::arg("offsets").noconvert(),
             "Write the offsets behind every `every`-th newline; returns (newlines, marked).");
  module.def("decode_base64", &decode_base64, py::arg("text"), "The bytes of base64 text.");
}
