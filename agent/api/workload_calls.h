// SPDX-License-Identifier: Apache-2.0
//
// The two calls of the Workload API that are no streams: FetchJWTSVID and ValidateJWTSVID.
//
// Threads: a call is worked on by one worker at a time; gRPC's thread only starts it.
// Lifetime: owns itself until gRPC is done with it; what CallSetting names outlives it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "agent/api/attesters.h"
#include "agent/api/caller_limit.h"
#include "agent/api/workload_api.h"
#include "agent/svid/jwt_fetcher.h"
#include "spiffe/workload/workload.pb.h"

namespace writ {

// What every call uses; all borrowed.
struct CallSetting {
  WorkloadApiOptions options;
  Attesters* attesters;
  JwtFetcher* jwts;
  CallerLimit* limit;
};

grpc::ServerUnaryReactor* RefuseCall(const Status& status);
// `request` and `response` are gRPC's, valid until the call is finished.
grpc::ServerUnaryReactor* StartFetchJwtSvid(const CallSetting& setting,
                                            const grpc::CallbackServerContext& context,
                                            std::shared_ptr<const Caller> caller,
                                            const JWTSVIDRequest* request,
                                            JWTSVIDResponse* response);
grpc::ServerUnaryReactor* StartValidateJwtSvid(const CallSetting& setting,
                                               std::shared_ptr<const Caller> caller,
                                               const ValidateJWTSVIDRequest* request,
                                               ValidateJWTSVIDResponse* response);

}  // namespace writ
