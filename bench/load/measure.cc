// SPDX-License-Identifier: Apache-2.0
#include "bench/load/measure.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <sstream>
#include <utility>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mutex.h"
#include "core/base/thread.h"

namespace writ {
namespace {

constexpr size_t kStatmBytesMax = 4096;

Result<std::vector<int64_t>> CpuOf(const std::vector<Watched>& watched) {
  std::vector<int64_t> cpu;
  for (const Watched& process : watched) {
    Result<int64_t> spent = ProcessCpu(process.pid);
    if (!spent.ok()) return spent.status();
    cpu.push_back(*spent);
  }
  return cpu;
}

double MicrosecondsEach(int64_t nanoseconds, size_t count) {
  return static_cast<double>(nanoseconds) / 1000.0 / static_cast<double>(count);
}

Status RunAll(const Load& load, const std::function<Status(size_t)>& operation) {
  std::atomic<size_t> next = 0;
  Mutex mu;
  Status failure;
  std::vector<Thread> threads;
  for (size_t i = 0; i < load.parallel; ++i) {
    threads.emplace_back("load", [&](std::stop_token) {
      for (size_t n = next++; n < load.count; n = next++) {
        Status status = operation(n);
        if (status.ok()) continue;
        MutexLock lock(mu);
        if (failure.ok()) failure = std::move(status);
        next = load.count;
      }
    });
  }
  for (Thread& thread : threads) thread.Join();
  return failure;
}

}  // namespace

Result<int64_t> ProcessCpu(pid_t pid) {
  clockid_t clock;
  timespec spent;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0) {
    return NotFound("no process " + std::to_string(pid) + " whose CPU time can be read");
  }
  return int64_t{spent.tv_sec} * 1'000'000'000 + spent.tv_nsec;
}

Result<int64_t> ProcessResident(pid_t pid) {
  std::string text = TRY(ReadFile("/proc/" + std::to_string(pid) + "/statm", kStatmBytesMax));
  int64_t size = 0;
  int64_t resident = 0;
  std::istringstream(text) >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

Result<Json> Measure(const Load& load, const std::function<Status(size_t)>& operation) {
  if (load.count == 0 || load.parallel == 0) return InvalidArgument("nothing to measure");
  SystemClock clock;
  std::vector<int64_t> before = TRY(CpuOf(load.watched));
  MonoTime begin = clock.Monotonic();
  Status status = RunAll(load, operation);
  if (!status.ok()) return status;
  Duration wall = clock.Monotonic() - begin;
  std::vector<int64_t> after = TRY(CpuOf(load.watched));

  Json cpu = Json::MakeObject();
  for (size_t i = 0; i < load.watched.size(); ++i) {
    cpu.Set(load.watched[i].name, MicrosecondsEach(after[i] - before[i], load.count));
  }
  Json result = Json::MakeObject();
  result.Set("operations", static_cast<int64_t>(load.count));
  result.Set("wall_us", MicrosecondsEach(wall.count(), load.count));
  result.Set("cpu_us", std::move(cpu));
  return result;
}

}  // namespace writ
