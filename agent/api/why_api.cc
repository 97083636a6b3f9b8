// SPDX-License-Identifier: Apache-2.0
#include "agent/api/why_api.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "agent/api/caller_limit.h"
#include "agent/api/unary_call.h"
#include "agent/api/why_advice.h"
#include "agent/workload/near_entries.h"
#include "core/base/thread.h"
#include "core/spiffe/svid.h"
#include "writ/v1/why.grpc.pb.h"

namespace writ {
namespace {

using Request = v1::ExplainWorkloadRequest;
using Response = v1::ExplainWorkloadResponse;
using Scope = WhyApiOptions::Scope;

constexpr char kMethod[] = "ExplainWorkload";
constexpr size_t kExplainersCount = 1;
// One more is added below it. An entry may have half a MiB, all of it missing; the answer stays
// below the 4 MiB that clients take.
constexpr size_t kNearestBytesMax = 1 << 20;

// Whom an answer is about, and what was found of it.
struct Subject {
  pid_t pid;
  uid_t uid;
  gid_t gid;
  Examined found;
  std::optional<Refusal> refusal;
};

void AddAttestors(const Examined& found, Response& response) {
  for (const std::string& name : found.attestors) {
    v1::AttestorResult& result = *response.add_attestors();
    result.set_name(name);
    for (const AttestorFailure& failure : found.failures) {
      if (failure.attestor == name) result.set_error(failure.status.message());
    }
    for (const Selector& selector : found.selectors) {
      if (selector.type == name) result.add_selectors(selector.text());
    }
  }
}

void AddIdentities(const WorkloadUpdate& update, Response& response) {
  for (const Identity& identity : update.identities) {
    v1::IssuedIdentity& issued = *response.add_identities();
    issued.set_spiffe_id(identity.entry->spiffe_id.text());
    issued.set_entry_id(identity.entry->id);
    if (identity.x509) issued.set_x509_expires_at(ToUnixSeconds(identity.x509->not_after));
  }
}

void AddNearest(const std::vector<NearEntry>& nearest, Response& response) {
  for (const NearEntry& near : nearest) {
    if (response.ByteSizeLong() > kNearestBytesMax) return;
    v1::NearEntry& out = *response.add_nearest();
    out.set_entry_id(near.entry.id);
    out.set_spiffe_id(near.entry.spiffe_id.text());
    out.set_parent_id(near.entry.parent_id.text());
    for (const Selector& selector : near.entry.selectors) out.add_selectors(selector.text());
    for (const Selector& selector : near.missing) out.add_missing(selector.text());
    out.set_why(near.why);
  }
}

// The name under which entries stand while the agent comes and goes: that of its join token. The
// token's own ID is another with each token.
std::string ParentFor(const std::string& agent_id, const std::vector<PackedEntry>& entries,
                      Time now) {
  for (const PackedEntry& entry : entries) {
    if (entry.ExpiredAt(now)) continue;
    for (const SelectorView& selector : entry.selectors()) {
      if (IsForNodes(selector) && selector.value == agent_id) return entry.spiffe_id().text();
    }
  }
  return agent_id;
}

class AgentWhyApi final : public WhyApi, private v1::AgentWhy::CallbackService {
 public:
  explicit AgentWhyApi(WhyApiOptions options)
      : options_(std::move(options)),
        limit_(options_.calls_per_second, options_.clock),
        explainers_("why", kExplainersCount, kExplanationsWaitingMax) {}

  grpc::Service* service() override { return this; }
  void ServeOn(const GrpcServer* server) override { server_ = server; }

 private:
  class Call final : public UnaryCall {
   public:
    static grpc::ServerUnaryReactor* Start(AgentWhyApi* api, std::shared_ptr<const Caller> caller,
                                           const Request* request, Response* response) {
      const auto call = Make<Call>();
      auto work = [call, api, caller = std::move(caller), request, response] {
        call->End(api->Explain(*caller, *request, *response));
      };
      if (!api->explainers_.Submit(std::move(work))) {
        call->End(Unavailable("the agent is busy: too many questions wait; call again"));
      }
      return call.get();
    }
  };

  grpc::ServerUnaryReactor* ExplainWorkload(grpc::CallbackServerContext* context,
                                            const Request* request, Response* response) override {
    Result<std::shared_ptr<const Caller>> caller = Admit(*context);
    if (!caller.ok()) return RefusedCall::Start(caller.status());
    return Call::Start(this, std::move(caller).value(), request, response);
  }

  Result<std::shared_ptr<const Caller>> Admit(const grpc::CallbackServerContext& context) const {
    if (options_.scope == Scope::kCallerAlone) TRY(CheckSecurityHeader(context));
    const GrpcServer* server = server_;
    if (server == nullptr) return Unavailable("the agent is starting; call again");
    const std::shared_ptr<const Peer> peer = server->PeerOf(context);
    if (peer == nullptr || peer->caller == nullptr) return Unavailable("the caller has left");
    return peer->caller;
  }

  Status Explain(const Caller& caller, const Request& request, Response& response);
  Result<Subject> SubjectOf(const Caller& caller, const Request& request);
  Result<Subject> OwnSubject(const Caller& caller, const Request& request);
  Result<Subject> AnySubject(const Caller& caller, const Request& request) const;
  Result<Subject> Examine(const Caller& process) const;
  Subject Remember(Refusal refusal) const;
  void AddAgent(Response& response) const;

  const WhyApiOptions options_;  // constant after construction
  std::atomic<const GrpcServer*> server_ = nullptr;
  CallerLimit limit_;      // its own lock
  WorkerPool explainers_;  // its own lock; the last member: its work uses the others
};

// Attestation that failed as a whole is what is to be explained, not an error.
Result<Subject> AgentWhyApi::Examine(const Caller& process) const {
  Subject subject{.pid = process.pid(), .uid = process.uid(), .gid = process.gid()};
  subject.found.attestors = options_.attestation->AttestorNames();
  Result<Selectors> selectors = options_.attestation->Attest(process, &subject.found.failures);
  if (selectors.ok()) {
    subject.found.selectors = std::move(selectors).value();
  } else if (!process.Alive()) {
    return NotFound("process " + std::to_string(process.pid()) + " is gone");
  }
  return subject;
}

Subject AgentWhyApi::Remember(Refusal refusal) const {
  Subject subject{.pid = refusal.pid, .uid = refusal.uid, .gid = refusal.gid};
  subject.found = Examined{.selectors = refusal.selectors,
                           .attestors = options_.attestation->AttestorNames(),
                           .failures = refusal.failures};
  subject.refusal = std::move(refusal);
  return subject;
}

// A caller that is not the one who was refused learns nothing, not even that there was a refusal.
Result<Subject> AgentWhyApi::OwnSubject(const Caller& caller, const Request& request) {
  if (request.has_pid() && request.pid() != caller.pid()) {
    return PermissionDenied(
        "the workload socket tells a process about itself alone; ask about "
        "process " +
        std::to_string(request.pid()) + " on the agent's admin socket");
  }
  Subject own = TRY(Examine(caller));
  TRY(limit_.Admit(kMethod, caller, own.found.selectors));
  if (!request.has_refusal_id()) return own;
  std::optional<Refusal> refusal = options_.refusals->Find(request.refusal_id());
  if (!refusal || refusal->uid != caller.uid() || refusal->gid != caller.gid() ||
      refusal->selectors != own.found.selectors) {
    return NotFound(
        "no refusal of yours is kept under this ID; what others were refused is told "
        "on the agent's admin socket");
  }
  return Remember(*std::move(refusal));
}

Result<Subject> AgentWhyApi::AnySubject(const Caller& caller, const Request& request) const {
  if (request.has_refusal_id()) {
    std::optional<Refusal> refusal = options_.refusals->Find(request.refusal_id());
    if (refusal) return Remember(*std::move(refusal));
    return NotFound("no refusal is kept under this ID; the agent keeps the last " +
                    std::to_string(kRefusalsMax) +
                    ", and none across a restart: let the workload ask again, or use --pid");
  }
  if (!request.has_pid()) return Examine(caller);
  const std::shared_ptr<const Caller> process = TRY(IdentifyProcess(request.pid()));
  return Examine(*process);
}

Status AgentWhyApi::Explain(const Caller& caller, const Request& request, Response& response) {
  const bool everything = options_.scope == Scope::kEveryProcess;
  const Subject subject =
      TRY(everything ? AnySubject(caller, request) : OwnSubject(caller, request));
  response.set_pid(subject.pid);
  response.set_uid(subject.uid);
  response.set_gid(subject.gid);
  if (subject.refusal) {
    response.mutable_refusal()->set_id(subject.refusal->id);
    response.mutable_refusal()->set_method(subject.refusal->method);
    response.mutable_refusal()->set_at(ToUnixSeconds(subject.refusal->at));
  }
  AddAttestors(subject.found, response);
  AddAgent(response);
  const std::shared_ptr<const WorkloadUpdate> update =
      options_.cache->Lookup(subject.found.selectors);
  AddIdentities(*update, response);
  std::vector<std::string> advice;
  if (everything) {
    const Time now = options_.clock->Now();
    std::vector<PackedEntry> entries = options_.cache->Entries();
    const std::string parent = ParentFor(response.agent().spiffe_id(), entries, now);
    std::erase_if(entries, [](const PackedEntry& entry) { return entry.ForNodes(); });
    response.mutable_agent()->set_entries(static_cast<int64_t>(entries.size()));
    std::erase_if(entries, [&update](const PackedEntry& entry) {
      return std::ranges::any_of(update->identities, [&entry](const Identity& identity) {
        return identity.entry->id == entry.id();
      });
    });
    const std::vector<NearEntry> nearest = NearestEntries(entries, subject.found, now);
    AddNearest(nearest, response);
    advice = AdviceForOperator(response, nearest, parent);
  } else {
    advice = AdviceForWorkload(response);
  }
  for (std::string& line : advice) response.add_advice(std::move(line));
  return OkStatus();
}

// Who the agent is and what its server said is not for every local user.
void AgentWhyApi::AddAgent(Response& response) const {
  v1::AgentState& agent = *response.mutable_agent();
  const Status ready = options_.ready();
  const std::optional<Certificate> own = options_.own_certificate();
  if (options_.scope == Scope::kCallerAlone) {
    if (!ready.ok() || !own) {
      agent.set_problem("the agent is not in step with the server; its log says why");
    }
    return;
  }
  if (!ready.ok()) agent.set_problem(ready.message());
  if (!own) {
    if (ready.ok()) agent.set_problem("the agent's own SVID has ended; its log says why");
    return;
  }
  if (const Result<SpiffeId> id = SpiffeIdOf(*own); id.ok()) agent.set_spiffe_id(id->text());
  agent.set_expires_at(ToUnixSeconds(own->not_after()));
}

}  // namespace

std::unique_ptr<WhyApi> WhyApi::Make(WhyApiOptions options) {
  return std::make_unique<AgentWhyApi>(std::move(options));
}

}  // namespace writ
