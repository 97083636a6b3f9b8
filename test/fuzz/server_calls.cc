// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/server_calls.h"

#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attestors/node/verifiers.h"
#include "core/keys/key_manager.h"
#include "server/api/agent_api.h"
#include "server/api/bundle_api.h"
#include "server/api/convert.h"
#include "server/api/entry_api.h"
#include "server/api/logger_api.h"
#include "server/api/svid_api.h"
#include "server/api/why_api.h"
#include "server/attest/attestation.h"
#include "server/bundle/bundle_holder.h"
#include "server/ca/authorities.h"
#include "server/entry/registry.h"
#include "server/issue/issuer.h"
#include "test/fake/fake_audit_log.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/fake/fake_store.h"
#include "test/fuzz/messages.h"

namespace writ {
namespace {

constexpr char kAgentPath[] = "/spire/agent/join_token/node";
constexpr int kAnswersMax = 100'000;  // to one request of a stream

// No request makes the server fail by itself: a refusal says what is wrong with the request.
void CheckRefusal(const Status& status) {
  CHECK(status.code() != Code::kInternal && status.code() != Code::kUnknown &&
        status.code() != Code::kDataLoss && status.code() != Code::kUnavailable);
  CHECK(!status.message().empty());
}

// What is sent can be read: no text in it is malformed.
template <class Response>
void CheckAnswer(const Result<Response>& answer) {
  if (!answer.ok()) return CheckRefusal(answer.status());
  Response read;
  CHECK(Parse(answer->SerializeAsString(), &read));
}

// A server of its own for each input, so that an input does the same whatever came before it.
class Server {
 public:
  Server() { Populate(); }

  template <class Api, class Request, class Response>
  void Ask(std::string_view input, Api& api,
           Result<Response> (Api::*method)(Call&, const Request&)) {
    Request request;
    if (!Parse(input, &request)) return;
    CheckAnswer((api.*method)(call_, request));
  }
  template <class Api, class Request, class Response>
  void Ask(std::string_view input, Api& api,
           void (Api::*method)(Call&, const Request&, Reply<Response>)) {
    Request request;
    if (!Parse(input, &request)) return;
    int answers = 0;
    (api.*method)(call_, request, [&answers](const Result<Response>& answer) {
      CheckAnswer(answer);
      ++answers;
    });
    CHECK(answers == 1);
  }
  template <class Request, class Response>
  void Converse(const std::vector<std::string_view>& inputs,
                std::unique_ptr<Conversation<Request, Response>> conversation) {
    for (std::string_view input : inputs) {
      Request request;
      if (!Parse(input, &request)) return;
      const Status taken = conversation->OnRequest(call_, request);
      if (!taken.ok()) return CheckRefusal(taken);
      if (!AnswersAll(*conversation)) return;
    }
    const Status done = conversation->OnRequestsDone();
    if (!done.ok()) CheckRefusal(done);
  }

  AgentApi& agents() { return agents_; }
  EntryApi& entries() { return entries_; }
  BundleApi& bundles() { return bundles_; }
  SvidApi& svids() { return svids_; }
  WhyApi& why() { return why_; }
  LoggerApi& logger() { return logger_; }

 private:
  // One agent, that calls; an entry of it and an alias that groups it.
  void Populate() {
    const Agent agent{.id = Id(kAgentPath),
                      .attestation_type = "join_token",
                      .serial = "1",
                      .not_after = ToUnixSeconds(clock_.Now()) + 3600,
                      .selectors = {{"spiffe_id", Id(kAgentPath).text()}}};
    CHECK(store_.agents().CommitAttestation(agent, "", clock_.Now()).ok());
    const JoinToken token{.token = "token", .expires_at = ToUnixSeconds(clock_.Now()) + 3600};
    CHECK(store_.agents().CreateToken(token, std::nullopt).ok());
    const Entry web{.id = "web",
                    .spiffe_id = Id("/web"),
                    .parent_id = Id(kAgentPath),
                    .selectors = {{"unix", "uid:0"}},
                    .dns_names = {"web.example.org"}};
    const Entry alias{.id = "alias",
                      .spiffe_id = Id("/node"),
                      .parent_id = ServerId(td_),
                      .selectors = agent.selectors};
    auto new_id = [this] { return random_.Uuid(); };
    CHECK(store_.entries().Create({web, alias}, clock_.Now(), new_id).ok());
  }

  Result<JoinTokenInfo> FindToken(std::string_view token) {
    JoinToken found = TRY(store_.agents().GetToken(token));
    return JoinTokenInfo{FromUnixSeconds(found.expires_at)};
  }
  SpiffeId Id(const std::string& path) const { return *SpiffeId::FromPath(td_, path); }

  // Whether the conversation goes on.
  template <class Request, class Response>
  bool AnswersAll(Conversation<Request, Response>& conversation) {
    using Next = typename Conversation<Request, Response>::Next;
    for (int i = 0; i < kAnswersMax; ++i) {
      Response response;
      const Result<Next> next = conversation.Answer(call_, &response);
      if (!next.ok()) CheckRefusal(next.status());
      if (!next.ok() || *next == Next::kFinish) return false;
      if (*next == Next::kRead) return true;
      CheckAnswer(Result<Response>(std::move(response)));
    }
    CHECK(!"a request is answered for ever");
  }

  const TrustDomain td_ = ExampleOrg();
  FakeClock clock_;
  SeededRandom random_{7};
  FakeLog log_;
  FakeStore store_;
  FakeAuditLog audit_;
  const std::unique_ptr<Registry> registry_ = Registry::Load(store_, td_).value();
  const std::unique_ptr<BundleHolder> bundle_ = BundleHolder::Load(store_.bundles(), td_).value();
  const std::unique_ptr<KeyManager> keys_ = MakeMemoryKeys();
  const std::unique_ptr<Authorities> authorities_ =
      Authorities::Open({.trust_domain = td_,
                         .store = &store_,
                         .bundle = bundle_.get(),
                         .keys = keys_.get(),
                         .clock = &clock_,
                         .random = &random_,
                         .log = &log_})
          .value();
  const std::unique_ptr<Issuer> issuer_ = Issuer::Make({.trust_domain = td_,
                                                        .subject = {.organization = "Writ"},
                                                        .authorities = authorities_.get(),
                                                        .audit = &audit_,
                                                        .clock = &clock_,
                                                        .random = &random_});
  const NodeVerifiers verifiers_ =
      NodeVerifiers::Make(std::vector<std::string>{"join_token"}, {},
                          {.trust_domain = td_,
                           .find_join_token = [this](std::string_view t) { return FindToken(t); },
                           .clock = &clock_,
                           .random = &random_})
          .value();
  const Attestor attestor_{td_, &verifiers_, registry_.get(), &store_.agents(), &clock_};
  AgentApi agents_{td_,       registry_.get(), &store_.agents(), &attestor_,
                   issuer_.get(), &clock_,         &random_};
  EntryApi entries_{td_, registry_.get(), &store_.entries(), &clock_, &random_};
  BundleApi bundles_{bundle_.get()};
  SvidApi svids_{td_, registry_.get(), issuer_.get(), bundle_.get(), &clock_};
  WhyApi why_{td_, registry_.get(), &clock_};
  LoggerApi logger_{&log_};
  Call call_{.caller = {.local = true, .id = Id(kAgentPath), .actor = Id(kAgentPath).text()}};
};

using Method = void (*)(Server& server, std::string_view request);

template <auto method, auto api>
void Ask(Server& server, std::string_view request) {
  server.Ask(request, (server.*api)(), method);
}

// The corpus names them by place: new ones come last.
constexpr Method kMethods[] = {
    Ask<&AgentApi::CountAgents, &Server::agents>,
    Ask<&AgentApi::ListAgents, &Server::agents>,
    Ask<&AgentApi::GetAgent, &Server::agents>,
    Ask<&AgentApi::DeleteAgent, &Server::agents>,
    Ask<&AgentApi::BanAgent, &Server::agents>,
    Ask<&AgentApi::RenewAgent, &Server::agents>,
    Ask<&AgentApi::CreateJoinToken, &Server::agents>,
    Ask<&AgentApi::PostStatus, &Server::agents>,
    Ask<&EntryApi::CountEntries, &Server::entries>,
    Ask<&EntryApi::ListEntries, &Server::entries>,
    Ask<&EntryApi::GetEntry, &Server::entries>,
    Ask<&EntryApi::BatchCreateEntry, &Server::entries>,
    Ask<&EntryApi::BatchUpdateEntry, &Server::entries>,
    Ask<&EntryApi::BatchDeleteEntry, &Server::entries>,
    Ask<&EntryApi::GetAuthorizedEntries, &Server::entries>,
    Ask<&BundleApi::CountBundles, &Server::bundles>,
    Ask<&BundleApi::GetBundle, &Server::bundles>,
    Ask<&BundleApi::AppendBundle, &Server::bundles>,
    Ask<&BundleApi::PublishJwtAuthority, &Server::bundles>,
    Ask<&SvidApi::MintX509Svid, &Server::svids>,
    Ask<&SvidApi::MintJwtSvid, &Server::svids>,
    Ask<&SvidApi::BatchNewX509Svid, &Server::svids>,
    Ask<&SvidApi::NewJwtSvid, &Server::svids>,
    Ask<&SvidApi::NewDownstreamX509Ca, &Server::svids>,
    Ask<&WhyApi::ExplainIdentity, &Server::why>,
    Ask<&LoggerApi::SetLogLevel, &Server::logger>,
};

// Where the input says to go in a table of `count`; nothing of an empty input.
size_t TakePlace(std::string_view& input, size_t count) {
  const auto place = static_cast<unsigned char>(input.front() - 'a');
  input.remove_prefix(1);
  return place % count;
}

}  // namespace

void FuzzServerCall(std::string_view input) {
  if (input.empty()) return;
  const Method method = kMethods[TakePlace(input, std::size(kMethods))];
  Server server;
  method(server, input);
}

void FuzzServerStream(std::string_view input) {
  if (input.empty()) return;
  const bool attests = TakePlace(input, 2) == 0;
  Server server;
  const std::vector<std::string_view> requests = SplitMessages(input);
  if (attests) return server.Converse(requests, server.agents().AttestAgent());
  server.Converse(requests, server.entries().SyncAuthorizedEntries());
}

}  // namespace writ
