// SPDX-License-Identifier: Apache-2.0
//
// ServerServices: all of SPIRE's server services and Writ's own, ready to be lent to one
// GrpcServer.
// Lifetime: outlives that server.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "server/api/agent_api.h"
#include "server/api/bundle_api.h"
#include "server/api/debug_api.h"
#include "server/api/entry_api.h"
#include "server/api/front.h"
#include "server/api/logger_api.h"
#include "server/api/notices_api.h"
#include "server/api/svid_api.h"
#include "server/api/why_api.h"

namespace writ {

struct ServerApis {
  AgentApi* agent;  // all borrowed
  BundleApi* bundle;
  EntryApi* entry;
  NoticesApi* notices;
  SvidApi* svid;
  WhyApi* why;
  DebugApi* debug;
  LoggerApi* logger;
};

class ServerServices {
 public:
  // `admin_socket`: also the services that are not for TCP.
  ServerServices(const ServerApis& apis, Front* front, bool admin_socket);
  ~ServerServices();

  std::vector<grpc::Service*> Borrow() const;
  // The names of SPIRE's services, for health.
  static std::vector<std::string> Names();

 private:
  std::vector<std::unique_ptr<grpc::Service>> services_;  // constant after construction
};

}  // namespace writ
