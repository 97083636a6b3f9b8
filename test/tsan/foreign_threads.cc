// SPDX-License-Identifier: Apache-2.0
//
// Part of every program that is built under ThreadSanitizer with gRPC in it. Debian's gRPC and absl
// are not instrumented, and the C library resolves names on threads of its own:
// - absl's mutexes: without the order that they make, each object that one thread leaves to another
//   through gRPC would seem to be raced for. The libraries call these functions through the dynamic
//   linker, which finds ours first; ours call theirs and say what that orders.
// - getaddrinfo_a: its thread is unknown to ThreadSanitizer and dies in its allocator. Ours looks
//   the name up at once.
//
// Threads: thread-safe. Lifetime: the process's.
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

namespace {

// The library's own function, by its mangled name.
template <typename Function>
Function* Next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) abort();
  return reinterpret_cast<Function*>(found);
}

}  // namespace

namespace absl {

void Mutex::Lock() {
  static auto* const next = Next<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  next(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static auto* const next = Next<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  bool taken = next(this);
  if (taken) __tsan_acquire(this);
  return taken;
}

void Mutex::Unlock() {
  static auto* const next = Next<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  next(this);
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const next =
      Next<void(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  next(this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const next = Next<bool(CondVar*, Mutex*, Duration)>(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  bool late = next(this, mutex, timeout);
  __tsan_acquire(mutex);
  return late;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const next = Next<bool(CondVar*, Mutex*, Time)>(
      "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  bool late = next(this, mutex, deadline);
  __tsan_acquire(mutex);
  return late;
}

}  // namespace absl

extern "C" int getaddrinfo_a(int, gaicb* list[], int count, sigevent*) {
  for (int i = 0; i < count; ++i) {
    gaicb& one = *list[i];
    one.__return = getaddrinfo(one.ar_name, one.ar_service, one.ar_request, &one.ar_result);
  }
  return 0;
}
