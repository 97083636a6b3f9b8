// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/agent_loop.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/attest/agent_self.h"
#include "agent/state/agent_state.h"
#include "agent/sync/backoff.h"
#include "agent/sync/following.h"
#include "agent/sync/synchronizer.h"
#include "agent/sync/x509_fetcher.h"
#include "core/base/mutex.h"
#include "core/base/process.h"
#include "core/net/http_server.h"

namespace writ {
namespace {

// Between two syncs, however short-lived the SVIDs are.
constexpr Duration kSyncPauseMin = std::chrono::milliseconds(500);
constexpr Duration kFirstNoticeMayTake = std::chrono::milliseconds(750);

class ThreadedAgentLoop final : public AgentLoop {
 public:
  explicit ThreadedAgentLoop(AgentLoopOptions options)
      : options_(std::move(options)),
        state_(MakeFileAgentState(options_.data_dir, options_.trust_domain, options_.log)),
        self_(SelfOptions(options_, state_.get())),
        server_(options_.connect(ApiOptions())),
        jwts_(MakeJwtSource(server_.get(), options_.cache, options_.clock, options_.random,
                            options_.log)),
        sync_({server_.get(), options_.cache, &fetcher_, options_.log}),
        backoff_(options_.random),
        following_({.source = server_.get(),
                    .sync_interval = options_.sync_interval,
                    .notify = [this] { wake_.Notify(); },
                    .clock = options_.clock,
                    .random = options_.random,
                    .log = options_.log,
                    .start_thread = options_.start_thread}),
        fetcher_(FetcherOptions()) {
    options_.cache->OnAwaited([this] { wake_.Notify(); });
  }

  ~ThreadedAgentLoop() override { stop_calls_.request_stop(); }

  Status Run(std::stop_token stop) override;
  Status Ready() const override EXCLUDES(mu_);
  bool Follows() const override { return following_.IsUp(); }
  JwtSource& jwts() override { return *jwts_; }
  std::optional<Certificate> OwnCertificate() const override;
  LoopCounts Counts() const override EXCLUDES(mu_);

 private:
  static AgentSelfOptions SelfOptions(const AgentLoopOptions& options, AgentState* state);
  ServerApiOptions ApiOptions();
  X509FetcherOptions FetcherOptions();

  Outcome Step(const std::stop_token& stop);
  void AwaitFirstNotice(const std::stop_token& stop);
  Outcome Sync(const std::stop_token& stop);
  Outcome Renew(const std::stop_token& stop);
  bool TakeNotices();
  void PostStatus();
  Duration PauseAfter(const Outcome& outcome);
  MonoTime NextEnd(MonoTime until);
  void Wait(Duration pause, const std::stop_token& stop);
  void SetReady(Status ready) EXCLUDES(mu_);
  void Count(const Outcome& outcome, Duration took) EXCLUDES(mu_);

  const AgentLoopOptions options_;           // constant after construction, as are
  const std::unique_ptr<AgentState> state_;  // the state,
  AgentSelf self_;                           // (its own lock where others read)
  std::stop_source stop_calls_;
  const std::unique_ptr<ServerApi> server_;  // the server
  const std::unique_ptr<JwtSource> jwts_;    // and the tokens' source.

  // Used by Run() alone.
  Synchronizer sync_;
  Backoff backoff_;
  bool posted_ = false;
  bool in_step_ = false;  // the last turn was a good one
  bool heard_ = false;    // or it failed with SVIDs alone
  bool ask_all_ = false;  // after such a failure: whether the agent is denied, a sync tells

  Wake wake_;  // its own lock: a subscriber waits for an SVID, or the server tells something
  Following following_;  // IsUp() by any, the rest by Run(); its thread uses the above
  X509Fetcher fetcher_;  // likewise: its flights
  mutable Mutex mu_;
  Status ready_ GUARDED_BY(mu_) = Unavailable("the agent has not attested yet");
  bool was_ready_ GUARDED_BY(mu_) = false;
  LoopCounts counts_ GUARDED_BY(mu_);
};

AgentSelfOptions ThreadedAgentLoop::SelfOptions(const AgentLoopOptions& options,
                                                AgentState* state) {
  return AgentSelfOptions{.trust_domain = options.trust_domain,
                          .bootstrap = options.bootstrap,
                          .rebootstrap = options.rebootstrap,
                          .attestor_type = options.attestor_type,
                          .prover = options.prover,
                          .state = state,
                          .keys = options.keys,
                          .clock = options.clock,
                          .random = options.random,
                          .log = options.log,
                          .fetch = options.fetch ? options.fetch : HttpFetch(HttpGet)};
}

ServerApiOptions ThreadedAgentLoop::ApiOptions() {
  return ServerApiOptions{.address = options_.server_address,
                          .trust_domain = options_.trust_domain,
                          .identity = [this] { return self_.Tls(); },
                          .verify = [this](const auto& chain) { return self_.Verify(chain); },
                          .clock = options_.clock,
                          .log = options_.log,
                          .stop = stop_calls_.get_token()};
}

X509FetcherOptions ThreadedAgentLoop::FetcherOptions() {
  return X509FetcherOptions{.svid_key_type = options_.svid_key_type,
                            .retry_after = options_.sync_interval,
                            .in_flight = options_.fetch_in_flight,
                            .notify = [this] { wake_.Notify(); },
                            .server = server_.get(),
                            .cache = options_.cache,
                            .clock = options_.clock,
                            .random = options_.random,
                            .log = options_.log};
}

Status ThreadedAgentLoop::Run(std::stop_token stop) {
  std::stop_callback on_stop(stop, [this] { stop_calls_.request_stop(); });
  while (!stop.stop_requested()) {
    const MonoTime begun = options_.clock->Monotonic();
    Outcome outcome = Step(stop);
    Count(outcome, options_.clock->Monotonic() - begun);
    if (stop.stop_requested()) break;
    in_step_ = outcome.ok();
    if (outcome.fatal) {
      SetReady(outcome.status);
      return outcome.status;
    }
    if (!outcome.ok()) {
      options_.log->Error("The agent is not in step with the server; it tries again",
                          {{"server", options_.server_address}, {"error", outcome.status}});
      SetReady(outcome.status);
    }
    Wait(PauseAfter(outcome), stop);
  }
  return OkStatus();
}

// One turn: the agent's own identity, then everybody else's.
Outcome ThreadedAgentLoop::Step(const std::stop_token& stop) {
  heard_ = false;
  Outcome outcome = self_.Step(*server_);
  if (outcome.ok()) {
    following_.Keep();
    if (following_.MustSync()) AwaitFirstNotice(stop);
    // What hangs at the server below an entry that has ended ends with it: no notice tells of it.
    const bool all = following_.MustSync() || ask_all_ || options_.cache->HoldsEnded();
    outcome = all ? Sync(stop) : Renew(stop);
  }
  if (outcome.ok() || outcome.fatal || stop.stop_requested() || heard_) return outcome;
  following_.RequireSync();
  if (DenialOf(outcome.status) != Denial::kNone) {
    Outcome denied = self_.OnDenied(outcome.status);
    posted_ = false;
    // Attests at the next turn, after a pause: a server that denies each new SVID is not flooded.
    return denied.fatal ? denied : outcome;
  }
  const Status source = self_.Rebootstrap(*server_);
  if (!source.ok()) outcome.status = outcome.status.Annotate(source.message());
  return outcome;
}

// Not for long: a server that is slow to tell is synced with as one that does not tell.
void ThreadedAgentLoop::AwaitFirstNotice(const std::stop_token& stop) {
  if (!following_.AwaitsFirst()) return;
  const MonoTime until = options_.clock->Monotonic() + kFirstNoticeMayTake;
  while (following_.AwaitsFirst() && options_.clock->Monotonic() < until) {
    if (stop.stop_requested()) return;
    options_.clock->WaitUntil(NextEnd(until), wake_, stop);
  }
  following_.Keep();  // the stream may have ended
}

// What the server has told before is part of what it says now.
Outcome ThreadedAgentLoop::Sync(const std::stop_token& stop) {
  following_.BeginSync();
  Result<Bundle> bundle = server_->FetchBundle(false);
  if (!bundle.ok()) return Outcome{bundle.status()};
  self_.TakeBundle(*bundle, *server_);
  self_.OnTainted(TaintedKeyIds(*bundle));
  PostStatus();
  Status synced = sync_.Sync(*bundle);
  if (!synced.ok()) return Outcome{std::move(synced)};
  following_.EndSync();
  SetReady(OkStatus());
  Outcome renewed = Renew(stop);
  ReturnFreeMemory();  // that very many entries passed through
  return renewed;
}

// What is known of the server's entries is right; the SVIDs for them may fail.
Outcome ThreadedAgentLoop::Renew(const std::stop_token& stop) {
  heard_ = true;
  Status renewed = fetcher_.Renew(stop);
  ask_all_ = !renewed.ok();
  return Outcome{std::move(renewed)};
}

// False when the next turn has something to do.
bool ThreadedAgentLoop::TakeNotices() {
  std::vector<Notice> notices = following_.Take();
  if (following_.ResyncTold()) return false;
  if (notices.empty()) return !following_.HasEnded();
  for (const Notice& notice : notices) {
    if (!notice.bundle) continue;
    self_.TakeBundle(*notice.bundle, *server_);
    self_.OnTainted(TaintedKeyIds(*notice.bundle));
  }
  sync_.Take(std::move(notices));
  return !following_.HasEnded() && self_.DueAt() > options_.clock->Now();
}

// For the operator's eyes only: a server that does not know the call, or refuses it, is no
// obstacle.
void ThreadedAgentLoop::PostStatus() {
  if (posted_) return;
  Status status = server_->PostStatus(options_.agent_version);
  posted_ = status.code() != Code::kUnavailable;
  if (!status.ok()) {
    options_.log->Warn("The agent's version was not posted to the server", {{"error", status}});
  }
}

Duration ThreadedAgentLoop::PauseAfter(const Outcome& outcome) {
  if (!outcome.ok()) return backoff_.Next();
  backoff_.Reset();
  const Time due = std::min(self_.DueAt(), options_.cache->NextRenewal());
  Time now = options_.clock->Now();
  const Duration longest = std::min(options_.sync_interval, following_.LookAgainIn());
  if (due >= now + longest) return longest;
  const Duration shortest = std::min(kSyncPauseMin, longest);
  return due <= now + shortest ? shortest : due - now;
}

// Takes out of the cache what has ended. When to do so again, `until` at the latest.
MonoTime ThreadedAgentLoop::NextEnd(MonoTime until) {
  const Time next_end = options_.cache->DropExpired();
  const Time now = options_.clock->Now();
  const MonoTime mono = options_.clock->Monotonic();
  if (next_end >= now + (until - mono)) return until;
  return mono + std::max<Duration>(next_end - now, Duration(1));
}

// What ends meanwhile is taken out of the cache when it ends; what the server tells, and SVIDs that
// have come, are taken in at once, and what a new subscriber waits for is fetched. What has failed
// waits for the next turn.
void ThreadedAgentLoop::Wait(Duration pause, const std::stop_token& stop) {
  const MonoTime until = options_.clock->Monotonic() + pause;
  while (!stop.stop_requested()) {
    const MonoTime next = NextEnd(until);
    if (options_.clock->Monotonic() >= until) return;
    const WakeReason reason = options_.clock->WaitUntil(next, wake_, stop);
    if (reason != WakeReason::kNotified || !heard_) continue;
    if (!TakeNotices()) return;
    if (!in_step_) continue;
    in_step_ = fetcher_.Advance(stop).ok();
    if (!in_step_) return;
  }
}

void ThreadedAgentLoop::SetReady(Status ready) {
  bool first = false;
  {
    MutexLock lock(mu_);
    // Once in step, the agent serves what it holds: a server that is away does not change that.
    if (was_ready_ && !ready.ok()) return;
    ready_ = ready.ok() ? OkStatus() : Unavailable("the agent is not ready: " + ready.message());
    first = ready.ok() && !was_ready_;
    was_ready_ |= ready.ok();
  }
  if (!first) return;
  options_.log->Info("The agent is ready", {{"server", options_.server_address}});
  ReturnStartUpPages();
}

std::optional<Certificate> ThreadedAgentLoop::OwnCertificate() const {
  std::optional<TlsIdentity> own = self_.Tls();
  if (!own) return std::nullopt;
  return own->chain.front();
}

void ThreadedAgentLoop::Count(const Outcome& outcome, Duration took) {
  MutexLock lock(mu_);
  ++(outcome.ok() ? counts_.turns_done : counts_.turns_failed);
  counts_.last_turn = took;
  counts_.x509_issued = fetcher_.issued_count();
  counts_.x509_refused = fetcher_.refused_count();
}

LoopCounts ThreadedAgentLoop::Counts() const {
  MutexLock lock(mu_);
  return counts_;
}

Status ThreadedAgentLoop::Ready() const {
  MutexLock lock(mu_);
  return ready_;
}

}  // namespace

std::unique_ptr<AgentLoop> AgentLoop::Make(AgentLoopOptions options) {
  return std::make_unique<ThreadedAgentLoop>(std::move(options));
}

}  // namespace writ
