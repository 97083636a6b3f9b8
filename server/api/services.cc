// SPDX-License-Identifier: Apache-2.0
#include "server/api/services.h"

#include <string>

#include "server/api/rpc_service.h"

namespace writ {
namespace {

std::unique_ptr<RpcService> MakeAgent(AgentApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("spire.api.server.agent.v1.Agent", front);
  service->Unary("CountAgents", api, &AgentApi::CountAgents)
      .Unary("ListAgents", api, &AgentApi::ListAgents)
      .Unary("GetAgent", api, &AgentApi::GetAgent)
      .Unary("DeleteAgent", api, &AgentApi::DeleteAgent)
      .Unary("BanAgent", api, &AgentApi::BanAgent)
      .Unary("RenewAgent", api, &AgentApi::RenewAgent)
      .Unary("CreateJoinToken", api, &AgentApi::CreateJoinToken)
      .Unary("PostStatus", api, &AgentApi::PostStatus)
      .Bidi<agent_pb::AttestAgentRequest, agent_pb::AttestAgentResponse>(
          "AttestAgent", [api] { return api->AttestAgent(); });
  return service;
}

std::unique_ptr<RpcService> MakeEntry(EntryApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("spire.api.server.entry.v1.Entry", front);
  service->Unary("CountEntries", api, &EntryApi::CountEntries)
      .Unary("ListEntries", api, &EntryApi::ListEntries)
      .Unary("GetEntry", api, &EntryApi::GetEntry)
      .Unary("BatchCreateEntry", api, &EntryApi::BatchCreateEntry)
      .Unary("BatchUpdateEntry", api, &EntryApi::BatchUpdateEntry)
      .Unary("BatchDeleteEntry", api, &EntryApi::BatchDeleteEntry)
      .Unary("GetAuthorizedEntries", api, &EntryApi::GetAuthorizedEntries)
      .Bidi<entry_pb::SyncAuthorizedEntriesRequest, entry_pb::SyncAuthorizedEntriesResponse>(
          "SyncAuthorizedEntries", [api] { return api->SyncAuthorizedEntries(); });
  return service;
}

size_t ItemsOf(const svid_pb::BatchNewX509SVIDRequest& request) { return request.params_size(); }

std::unique_ptr<RpcService> MakeSvid(SvidApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("spire.api.server.svid.v1.SVID", front);
  service->Unary("MintX509SVID", api, &SvidApi::MintX509Svid)
      .Unary("MintJWTSVID", api, &SvidApi::MintJwtSvid)
      .Unary("BatchNewX509SVID", api, &SvidApi::BatchNewX509Svid, ItemsOf)
      .Unary("NewJWTSVID", api, &SvidApi::NewJwtSvid)
      .Unary("NewDownstreamX509CA", api, &SvidApi::NewDownstreamX509Ca);
  return service;
}

std::unique_ptr<RpcService> MakeBundle(BundleApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("spire.api.server.bundle.v1.Bundle", front);
  service->Unary("CountBundles", api, &BundleApi::CountBundles)
      .Unary("GetBundle", api, &BundleApi::GetBundle)
      .Unary("AppendBundle", api, &BundleApi::AppendBundle)
      .Unary("PublishJWTAuthority", api, &BundleApi::PublishJwtAuthority);
  return service;
}

std::unique_ptr<RpcService> MakeNotices(NoticesApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("writ.v1.Notices", front);
  service->ServerStream<notices_pb::FollowRequest, notices_pb::Notice>(
      "Follow", [api](Front* of, const MethodRow* row, grpc::CallbackServerContext* context,
                      const notices_pb::FollowRequest& request) {
        return api->Follow(of, row, context, request);
      });
  return service;
}

std::unique_ptr<RpcService> MakeDebug(DebugApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("spire.api.server.debug.v1.Debug", front);
  service->Unary("GetInfo", api, &DebugApi::GetInfo);
  return service;
}

std::unique_ptr<RpcService> MakeLogger(LoggerApi* api, Front* front) {
  auto service = std::make_unique<RpcService>("spire.api.server.logger.v1.Logger", front);
  service->Unary("GetLogger", api, &LoggerApi::GetLogger)
      .Unary("SetLogLevel", api, &LoggerApi::SetLogLevel)
      .Unary("ResetLogLevel", api, &LoggerApi::ResetLogLevel);
  return service;
}

}  // namespace

ServerServices::ServerServices(const ServerApis& apis, Front* front, bool admin_socket) {
  services_.push_back(MakeAgent(apis.agent, front));
  services_.push_back(MakeBundle(apis.bundle, front));
  services_.push_back(MakeEntry(apis.entry, front));
  services_.push_back(MakeSvid(apis.svid, front));
  services_.push_back(MakeNotices(apis.notices, front));
  for (const char* name : {"spire.api.server.trustdomain.v1.TrustDomain",
                           "spire.api.server.localauthority.v1.LocalAuthority"}) {
    services_.push_back(std::make_unique<RpcService>(name, front));
  }
  if (!admin_socket) return;
  auto why = std::make_unique<RpcService>("writ.v1.ServerWhy", front);
  why->Unary("ExplainIdentity", apis.why, &WhyApi::ExplainIdentity);
  services_.push_back(std::move(why));
  services_.push_back(MakeDebug(apis.debug, front));
  services_.push_back(MakeLogger(apis.logger, front));
}

ServerServices::~ServerServices() = default;

std::vector<grpc::Service*> ServerServices::Borrow() const {
  std::vector<grpc::Service*> borrowed;
  for (const auto& service : services_) borrowed.push_back(service.get());
  return borrowed;
}

std::vector<std::string> ServerServices::Names() {
  std::vector<std::string> names;
  for (const MethodRow& row : AllMethods()) {
    if (!row.service().starts_with("spire.")) continue;
    if (names.empty() || names.back() != row.service()) names.emplace_back(row.service());
  }
  return names;
}

}  // namespace writ
