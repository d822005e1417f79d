// rbmx._core: each bind_* function is in the file of its name.
#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace rbmx {
namespace bindings {
void bind_likelihood(py::module_&);
void bind_random(py::module_&);
void bind_rows(py::module_&);
void bind_session(py::module_&);
void bind_train(py::module_&);
void bind_units(py::module_&);
void bind_up_down(py::module_&);
}  // namespace bindings
}  // namespace rbmx

void bind_text(py::module_&);

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels of rbmx; use them through rbmx.backends.native.";
  rbmx::bindings::bind_units(m);  // a default argument of the others
  rbmx::bindings::bind_likelihood(m);
  rbmx::bindings::bind_random(m);
  rbmx::bindings::bind_rows(m);
  rbmx::bindings::bind_session(m);
  rbmx::bindings::bind_train(m);
  rbmx::bindings::bind_up_down(m);
  bind_text(m);
}
