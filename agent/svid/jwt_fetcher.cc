// SPDX-License-Identifier: Apache-2.0
#include "agent/svid/jwt_fetcher.h"

#include <algorithm>

namespace writ {
namespace {

void Give(std::vector<std::pair<JwtFetcher::Answer, Result<HeldJwt>>> answers) {
  for (auto& [answer, result] : answers) answer(std::move(result));
}

}  // namespace

JwtFetcher::JwtFetcher(const JwtFetcherOptions& options)
    : options_(options),
      places_(options.waiting_max, "waits for JWT-SVIDs"),
      callers_("jwt", kJwtFetchersCount, kJwtFetchersCount),
      watch_("jwt-watch", [this](const std::stop_token& stop) { Watch(stop); }) {}

JwtFetcher::~JwtFetcher() { Stop(Unavailable("the agent is stopping; call again")); }

std::optional<Result<HeldJwt>> JwtFetcher::Fetch(std::shared_ptr<const Entry> entry,
                                                 std::vector<std::string> audience,
                                                 JwtCaller caller, Answer answer) {
  std::optional<HeldJwt> held = options_.source->Held(*entry, audience);
  if (held && options_.clock->Now() < held->renew_at) return *std::move(held);
  // With a valid token at hand nobody waits long for a fresher one, even if all calls hang.
  if (held) {
    caller.deadline =
        std::min(caller.deadline, options_.clock->Monotonic() + kJwtRefreshTimeout);
  }
  Key key{entry->id, entry->revision, entry->created_at, AudienceSet(audience), 0};

  MutexLock lock(mu_);
  if (!stopped_.ok()) return stopped_;
  if (const Status taken = places_.Take(caller.uid, caller.pid); !taken.ok()) {
    if (held) return *std::move(held);
    return taken;
  }
  if (entry->jwt_svid_include_jti) key.caller = ++last_caller_;
  const auto [at, is_new] = flights_.try_emplace(std::move(key));
  Flight& flight = at->second;
  if (is_new) {
    flight.entry = std::move(entry);
    flight.audience = std::move(audience);
  }
  Join(flight, std::move(caller), held.has_value(), std::move(answer));
  if (is_new) EnterLine(at);
  return std::nullopt;
}

void JwtFetcher::Join(Flight& flight, JwtCaller caller, bool holds_valid, Answer answer) {
  MonoTime look = caller.deadline;
  flight.waiters.emplace_back(std::move(caller), holds_valid, std::move(answer), &wake_);
  if (flight.state == State::kPausing && !flight.failure.ok()) {
    // One who comes late into a long pause may find the server back, but many are no reason for
    // more than one attempt in the shortest pause.
    flight.due = std::min(flight.due, flight.failed_at + kJwtRetryPauseMin);
    look = std::min(look, flight.due);
  }
  if (look < next_look_) wake_.Notify();
}

// Somebody waits for the flight.
void JwtFetcher::EnterLine(Flights::iterator at) {
  Flight& flight = at->second;
  flight.state = State::kInLine;
  flight.uid = flight.waiters.front().caller.uid;
  flight.pid = flight.waiters.front().caller.pid;
  line_.Push(flight.uid, flight.pid, at);
  StartAttempts();
}

// As many as there are threads: who comes later may have a turn before those still in line.
void JwtFetcher::StartAttempts() {
  while (attempts_count_ < kJwtFetchersCount && !line_.Empty()) {
    const Flights::iterator at = line_.Pop();
    at->second.state = State::kRunning;
    ++attempts_count_;
    // Refused only when all is about to be gone, and then nobody waits.
    if (!callers_.Submit([this, at] { Attempt(at); })) return;
  }
}

// On one of the callers' threads.
void JwtFetcher::Attempt(Flights::iterator at) {
  Flight& flight = at->second;
  MonoTime deadline = MonoTime::min();
  {
    MutexLock lock(mu_);
    for (const Waiter& waiter : flight.waiters) {
      deadline = std::max(deadline, waiter.caller.deadline);
    }
    flight.attempt_ends = deadline;
    if (flight.waiters.empty()) {
      flights_.erase(at);
      --attempts_count_;
      StartAttempts();
      return;
    }
  }
  Result<HeldJwt> result = options_.source->Fetch(*flight.entry, flight.audience, deadline);
  Answers answers;
  {
    MutexLock lock(mu_);
    const MonoTime now = options_.clock->Monotonic();
    if (Passing(flight, result.status(), now) && !flight.waiters.empty()) {
      PutOff(flight, result.status(), now);
    } else {
      AnswerAll(flight, result, answers);
      flights_.erase(at);
    }
    --attempts_count_;
    StartAttempts();
  }
  Give(std::move(answers));
}

void JwtFetcher::PutOff(Flight& flight, const Status& failure, MonoTime now) {
  flight.state = State::kPausing;
  flight.failure = failure;
  flight.failed_at = now;
  // A tenth either way by chance, so that agents which lost their server together spread.
  flight.due = now + std::chrono::duration_cast<Duration>(
                         flight.pause * (0.9 + 0.2 * options_.random->Uniform()));
  flight.pause = std::min(kJwtRetryPauseMax, flight.pause * 2);
  wake_.Notify();  // some of those who wait may have no time left
}

bool JwtFetcher::Passing(const Flight& flight, const Status& status, MonoTime now) const {
  if (status.code() == Code::kUnavailable || status.code() == Code::kResourceExhausted) return true;
  // The attempt had the time of those who waited when it began; later ones may have more.
  return status.code() == Code::kDeadlineExceeded && now >= flight.attempt_ends;
}

void JwtFetcher::AnswerAll(Flight& flight, const Result<HeldJwt>& result, Answers& answers) {
  for (Waiter& waiter : flight.waiters) {
    answers.emplace_back(std::move(waiter.answer), result);
    places_.Leave(waiter.caller.uid, waiter.caller.pid);
  }
  flight.waiters.clear();
}

void JwtFetcher::EndWaits(Flight& flight, MonoTime now, Answers& answers) {
  for (auto at = flight.waiters.begin(); at != flight.waiters.end();) {
    const bool has_left = at->caller.left.stop_requested();
    if (!has_left && now < at->caller.deadline) {
      ++at;
      continue;
    }
    Result<HeldJwt> result = has_left ? Cancelled("the caller has left") : AtDeadline(flight, *at);
    answers.emplace_back(std::move(at->answer), std::move(result));
    places_.Leave(at->caller.uid, at->caller.pid);
    at = flight.waiters.erase(at);
  }
}

Result<HeldJwt> JwtFetcher::AtDeadline(const Flight& flight, const Waiter& waiter) const {
  if (waiter.holds_valid) {
    std::optional<HeldJwt> held = options_.source->Held(*flight.entry, flight.audience);
    if (held) return *std::move(held);
  }
  if (!flight.failure.ok()) return flight.failure;
  return DeadlineExceeded("no answer from the server for a JWT-SVID in time");
}

// Ends the waits that are over and starts the attempts that are due; when to look again.
MonoTime JwtFetcher::Look(Answers& answers) {
  MutexLock lock(mu_);
  const MonoTime now = options_.clock->Monotonic();
  next_look_ = MonoTime::max();
  for (auto at = flights_.begin(); at != flights_.end();) {
    Flight& flight = at->second;
    EndWaits(flight, now, answers);
    if (flight.waiters.empty() && flight.state != State::kRunning) {
      line_.Remove(flight.uid, flight.pid, at);
      at = flights_.erase(at);
      continue;
    }
    for (const Waiter& waiter : flight.waiters) {
      next_look_ = std::min(next_look_, waiter.caller.deadline);
    }
    if (flight.state == State::kPausing && flight.due <= now) EnterLine(at);
    if (flight.state == State::kPausing) next_look_ = std::min(next_look_, flight.due);
    ++at;
  }
  return next_look_;
}

void JwtFetcher::Watch(const std::stop_token& stop) {
  while (true) {
    Answers answers;
    const MonoTime next = Look(answers);
    Give(std::move(answers));
    if (options_.clock->WaitUntil(next, wake_, stop) == WakeReason::kStopped) return;
  }
}

void JwtFetcher::Stop(const Status& status) {
  Answers answers;
  {
    MutexLock lock(mu_);
    stopped_ = status;
    for (auto& [key, flight] : flights_) AnswerAll(flight, status, answers);
  }
  Give(std::move(answers));
}

}  // namespace writ
