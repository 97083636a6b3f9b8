// SPDX-License-Identifier: Apache-2.0
//
// Status and Result<T>: how every failure in Writ travels. A failure is a value; our code throws
// nothing. The codes are gRPC's, number for number, so that an answer on the wire needs no table.
//
// A message is one sentence for a person: what was expected, what came, where, and what to do next.
// It never holds a secret. Annotate() puts the deed in front: "sign agent SVID: key not found".
//
// Threads: values, no sharing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace writ {

enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The code's name in gRPC's spelling, e.g. "INVALID_ARGUMENT".
std::string_view CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // A number that a machine acts on, from the enumeration that fits the place where it is made (for
  // a denied agent: spire.api.types.PermissionDeniedDetails.Reason); 0: none.
  int reason() const { return reason_; }
  Status WithReason(int reason) const&;

  // "deed: message", the reason kept; an OK status and an empty deed change nothing.
  Status Annotate(std::string_view deed) const&;
  // "NOT_FOUND: message", or "OK": for logs.
  std::string ToString() const;

  friend bool operator==(const Status&, const Status&) = default;

 private:
  Code code_ = Code::kOk;
  int reason_ = 0;
  std::string message_;
};

inline Status OkStatus() { return Status(); }
Status InvalidArgument(std::string message);
Status NotFound(std::string message);
Status AlreadyExists(std::string message);
Status PermissionDenied(std::string message);
Status ResourceExhausted(std::string message);
Status FailedPrecondition(std::string message);
Status Aborted(std::string message);
Status Unimplemented(std::string message);
Status Internal(std::string message);
Status Unavailable(std::string message);
Status DataLoss(std::string message);
Status DeadlineExceeded(std::string message);
Status Cancelled(std::string message);
Status Unauthenticated(std::string message);

[[noreturn]] void CheckFailed(const char* file, int line, std::string_view what);

// A broken invariant of our own ends the process; hostile input never reaches a CHECK.
#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::writ::CheckFailed(__FILE__, __LINE__, #condition);      \
  } while (false)

// A value, or the Status that says why there is none. Reading the value of a failure is a CHECK.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) { CHECK(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  Code code() const { return status_.code(); }

  const T& value() const& {
    CHECK(ok());
    return *value_;
  }
  T& value() & {
    CHECK(ok());
    return *value_;
  }
  // By value, so that `for (auto& x : Get().value())` does not dangle.
  T value() && {
    CHECK(ok());
    return std::move(*value_);
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

namespace status_internal {
inline const Status& StatusOf(const Status& status) { return status; }
template <typename T>
const Status& StatusOf(const Result<T>& result) {
  return result.status();
}
inline void Take(Status&&) {}
template <typename T>
T Take(Result<T>&& result) {
  return std::move(result).value();
}
}  // namespace status_internal

// The one way to pass a failure on: `Key key = TRY(keys.Get(name), "load CA key")` returns from the
// enclosing function when the Status or Result is a failure, else yields the value. It stands in no
// braced list of members: on the way out gcc does not destroy those that were built before it.
#define TRY(expression, ...)                                                       \
  ({                                                                               \
    auto writ_try_result = (expression);                                           \
    if (!writ_try_result.ok()) [[unlikely]]                                        \
      return ::writ::status_internal::StatusOf(writ_try_result)                    \
          .Annotate(::std::string_view{__VA_ARGS__});                              \
    ::writ::status_internal::Take(std::move(writ_try_result));                     \
  })

}  // namespace writ
