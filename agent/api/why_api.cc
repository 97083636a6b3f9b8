// SPDX-License-Identifier: Apache-2.0
#include "agent/api/why_api.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "agent/api/caller_limit.h"
#include "agent/api/unary_call.h"
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

// An entry's selectors that this process would match: its user, or what else there is.
std::string SelectorFlag(const Selectors& selectors) {
  for (const Selector& selector : selectors) {
    if (selector.value.starts_with("uid:")) return " --selector " + selector.text();
  }
  return selectors.empty() ? "" : " --selector " + selectors.begin()->text();
}

std::string CreateCommand(const v1::AgentState& agent, const Selectors& selectors) {
  return "`writ entry create --parent-id " +
         (agent.spiffe_id().empty() ? "AGENT" : agent.spiffe_id()) + " --spiffe-id ID" +
         SelectorFlag(selectors) + "` on the server";
}

// The agent sees what the server gave it; what more the server knows, an operator asks there.
std::string ServerView(const Response& response) {
  std::string text = "What the server knows: on the server, ";
  const std::string& agent = response.agent().spiffe_id();
  if (!agent.empty()) {
    text += "`writ why --spiffe-id " + agent + "` says how this agent stands, and ";
  }
  if (response.nearest().empty()) {
    return text + "`writ why --spiffe-id ID` which agents get the ID that you expect.";
  }
  return text + "`writ why --spiffe-id " + response.nearest(0).spiffe_id() +
         "` which agents get the ID of the entry that came closest; ask likewise about one that "
         "you expect and that is not listed.";
}

// What to do, the most pressing first.
std::vector<std::string> AdviceFor(const Response& response, const Subject& subject, Scope scope) {
  std::vector<std::string> advice;
  const v1::AgentState& agent = response.agent();
  const bool in_trouble = !agent.problem().empty();
  if (in_trouble) {
    advice.push_back("See to the agent first: " + agent.problem() + ".");
  }
  for (const v1::AttestorResult& attestor : response.attestors()) {
    if (attestor.error().empty()) continue;
    advice.push_back("The attestor " + attestor.name() +
                     " failed, so its selectors are missing: " + attestor.error() + ".");
  }
  for (const v1::IssuedIdentity& identity : response.identities()) {
    if (identity.x509_expires_at() != 0) continue;
    advice.push_back("The X.509-SVID of " + identity.spiffe_id() +
                     " is not here yet: it is fetched when a workload asks for it; if it does not "
                     "come, the agent's log says why.");
  }
  if (!response.identities().empty()) {
    if (subject.refusal) {
      advice.push_back(
          "An entry matches by now: the workload gets its identity when it asks "
          "again.");
    }
    if (in_trouble && scope == Scope::kEveryProcess) advice.push_back(ServerView(response));
    return advice;
  }
  if (scope == Scope::kCallerAlone) {
    // Without a refusal it is about the process that asks, which is gone when an operator looks.
    const std::string question = subject.refusal ? "`writ why --id " + subject.refusal->id + "`"
                                                 : "`writ why --id ID` with the ID of a refusal, "
                                                   "or `writ why --pid N`,";
    advice.push_back(
        "No entry has only selectors of this process. An operator sees the entries "
        "that came closest: " +
        question + " as one who may use the agent's admin socket.");
    return advice;
  }
  if (!in_trouble && agent.entries() == 0) {
    advice.push_back("The server has no entries for this agent: create one, " +
                     CreateCommand(agent, subject.found.selectors) + ".");
    advice.push_back(ServerView(response));
    return advice;
  }
  advice.push_back("Change the entry or the process so that each selector of the entry is one of "
                   "the process, or create an entry: " +
                   CreateCommand(agent, subject.found.selectors) + ".");
  advice.push_back(ServerView(response));
  return advice;
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
  if (everything) {
    std::vector<PackedEntry> entries = options_.cache->Entries();
    std::erase_if(entries, [](const PackedEntry& entry) { return entry.ForNodes(); });
    response.mutable_agent()->set_entries(static_cast<int64_t>(entries.size()));
    std::erase_if(entries, [&update](const PackedEntry& entry) {
      return std::ranges::any_of(update->identities, [&entry](const Identity& identity) {
        return identity.entry->id == entry.id();
      });
    });
    AddNearest(NearestEntries(entries, subject.found, options_.clock->Now()), response);
  }
  for (std::string& line : AdviceFor(response, subject, options_.scope)) {
    response.add_advice(std::move(line));
  }
  return OkStatus();
}

void AgentWhyApi::AddAgent(Response& response) const {
  v1::AgentState& agent = *response.mutable_agent();
  const Status ready = options_.ready();
  if (!ready.ok()) agent.set_problem(ready.message());
  const std::optional<Certificate> own = options_.own_certificate();
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
