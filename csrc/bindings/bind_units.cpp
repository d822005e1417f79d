// The class _core.Units.
#include "bindings/units.h"

namespace rbmx {
namespace bindings {

void bind_units(py::module_& m) {
  py::class_<OwnedUnits>(m, "Units")
      .def(py::init<const std::string&, const std::string&, const py::array&>(), py::kw_only(),
           py::arg("visible") = "bernoulli", py::arg("hidden") = "bernoulli", py::arg("groups"));
}

}  // namespace bindings
}  // namespace rbmx
