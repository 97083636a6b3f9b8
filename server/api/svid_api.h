// SPDX-License-Identifier: Apache-2.0
//
// SvidApi: what SPIRE's SVID service does: minting for operators, and SVIDs for an agent's entries,
// CAs for servers below this one.
//
// Threads: thread-safe. What takes a Reply does not block: it comes when the audit log has it.
#pragma once

#include "core/base/clock.h"
#include "server/api/call.h"
#include "server/bundle/bundle_holder.h"
#include "server/entry/registry.h"
#include "server/issue/issuer.h"
#include "spire/api/server/svid/v1/svid.pb.h"

namespace writ {

namespace svid_pb = spire::api::server::svid::v1;

// Each takes about a kilobyte of the answer.
inline constexpr int kSvidBatchMax = 1000;

class SvidApi {
 public:
  SvidApi(TrustDomain td, const Registry* registry, Issuer* issuer, const BundleHolder* bundle,
          Clock* clock)
      : td_(std::move(td)), registry_(registry), issuer_(issuer), bundle_(bundle), clock_(clock) {}

  void MintX509Svid(Call& call, const svid_pb::MintX509SVIDRequest& request,
                    Reply<svid_pb::MintX509SVIDResponse> reply);
  void MintJwtSvid(Call& call, const svid_pb::MintJWTSVIDRequest& request,
                   Reply<svid_pb::MintJWTSVIDResponse> reply);
  void BatchNewX509Svid(Call& call, const svid_pb::BatchNewX509SVIDRequest& request,
                        Reply<svid_pb::BatchNewX509SVIDResponse> reply);
  void NewJwtSvid(Call& call, const svid_pb::NewJWTSVIDRequest& request,
                  Reply<svid_pb::NewJWTSVIDResponse> reply);
  // This one may block.
  Result<svid_pb::NewDownstreamX509CAResponse> NewDownstreamX509Ca(
      Call& call, const svid_pb::NewDownstreamX509CARequest& request);

 private:
  Result<X509Request> RequestFor(const SpiffeId& agent, const svid_pb::NewX509SVIDParams& params,
                                 Time now) const;
  Result<X509Request> MintRequestFor(const svid_pb::MintX509SVIDRequest& request) const;
  Result<JwtRequest> MintRequestFor(const svid_pb::MintJWTSVIDRequest& request) const;
  Result<JwtRequest> RequestFor(const SpiffeId& agent,
                                const svid_pb::NewJWTSVIDRequest& request) const;

  const TrustDomain td_;
  const Registry* const registry_;  // all borrowed
  Issuer* const issuer_;
  const BundleHolder* const bundle_;
  Clock* const clock_;
};

}  // namespace writ
