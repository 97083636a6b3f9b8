// SPDX-License-Identifier: Apache-2.0
//
// Mutex, MutexLock and the annotations that clang's thread safety analysis reads (they are nothing
// under gcc). A member guarded by a mutex says so: `int n_ GUARDED_BY(mu_);`.
//
// This is the only file that names std::mutex and std::condition_variable.
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define WRIT_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define WRIT_THREAD_ANNOTATION(x)
#endif
// Abseil's headers (below gRPC) define some of these names too, to the same meaning.
#undef GUARDED_BY
#define CAPABILITY(x) WRIT_THREAD_ANNOTATION(capability(x))
#define SCOPED_CAPABILITY WRIT_THREAD_ANNOTATION(scoped_lockable)
#define GUARDED_BY(x) WRIT_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES(...) WRIT_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) WRIT_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) WRIT_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) WRIT_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) WRIT_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) WRIT_THREAD_ANNOTATION(release_shared_capability(__VA_ARGS__))

namespace writ {

class CAPABILITY("mutex") Mutex {
 public:
  void Lock() ACQUIRE() { mu_.lock(); }
  void Unlock() RELEASE() { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mu) ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() RELEASE() { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// Many readers or one writer.
class CAPABILITY("mutex") SharedMutex {
 public:
  void Lock() ACQUIRE() { mu_.lock(); }
  void Unlock() RELEASE() { mu_.unlock(); }
  void LockShared() ACQUIRE_SHARED() { mu_.lock_shared(); }
  void UnlockShared() RELEASE_SHARED() { mu_.unlock_shared(); }

 private:
  std::shared_mutex mu_;
};

class SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mu) ACQUIRE_SHARED(mu) : mu_(mu) { mu_.LockShared(); }
  ~ReaderLock() RELEASE() { mu_.UnlockShared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mu_;
};

class SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mu) ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~WriterLock() RELEASE() { mu_.Unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mu_;
};

// A condition variable. Waiting for time goes through Clock (clock.h), never through here.
class CondVar {
 public:
  void Wait(Mutex& mu) REQUIRES(mu) {
    std::unique_lock lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  template <typename Time>
  bool WaitUntil(Mutex& mu, Time deadline) REQUIRES(mu) {  // false: the deadline passed
    std::unique_lock lock(mu.mu_, std::adopt_lock);
    bool notified = cv_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace writ
