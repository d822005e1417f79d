// How many threads a team gets: the smallest of the affinity mask, the cgroup's processor quota
// and, if set, RBMX_NUM_THREADS or OMP_NUM_THREADS. A container's share is honoured without being
// told.
#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "parallel/team.h"

namespace rbmx {

namespace {

int smaller(int a, int b) { return a < b ? a : b; }

int affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int n = CPU_COUNT(&set);
  return n < 1 ? 1 : n;
}

// quota / period rounded up, or a large number where there is no limit
int from_quota(double quota, double period) {
  if (quota <= 0 || period <= 0) return 1 << 20;
  const int whole = static_cast<int>(quota / period + 0.999);
  return whole < 1 ? 1 : whole;
}

double read_number(const char* path) {
  double value = -1;
  if (std::FILE* file = std::fopen(path, "r")) {
    if (std::fscanf(file, "%lf", &value) != 1) value = -1;
    std::fclose(file);
  }
  return value;
}

int cgroup_quota() {
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    double quota = -1, period = -1;
    const int read = std::fscanf(file, "%lf %lf", &quota, &period);  // "max 100000" reads nothing
    std::fclose(file);
    if (read == 2) return from_quota(quota, period);
  }
  return from_quota(read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
                    read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
}

int from_environment(const char* name) {
  const char* text = std::getenv(name);
  const int n = text == nullptr ? 0 : std::atoi(text);
  return n < 1 ? 1 << 20 : n;
}

}  // namespace

int default_threads() {
  const int machine = smaller(affinity(), cgroup_quota());
  return smaller(
      machine, smaller(from_environment("RBMX_NUM_THREADS"), from_environment("OMP_NUM_THREADS")));
}

}  // namespace rbmx
