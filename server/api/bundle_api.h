// SPDX-License-Identifier: Apache-2.0
//
// BundleApi: the part of SPIRE's Bundle service that concerns the trust domain's own bundle.
//
// Threads: thread-safe. May block (store writes).
#pragma once

#include "server/api/call.h"
#include "server/bundle/bundle_holder.h"
#include "spire/api/server/bundle/v1/bundle.pb.h"

namespace writ {

namespace bundle_pb = spire::api::server::bundle::v1;

class BundleApi {
 public:
  explicit BundleApi(BundleHolder* bundle) : bundle_(bundle) {}

  Result<bundle_pb::CountBundlesResponse> CountBundles(
      Call& call, const bundle_pb::CountBundlesRequest& request);
  Result<spire::api::types::Bundle> GetBundle(Call& call,
                                              const bundle_pb::GetBundleRequest& request);
  Result<spire::api::types::Bundle> AppendBundle(Call& call,
                                                 const bundle_pb::AppendBundleRequest& request);
  Result<bundle_pb::PublishJWTAuthorityResponse> PublishJwtAuthority(
      Call& call, const bundle_pb::PublishJWTAuthorityRequest& request);

 private:
  BundleHolder* const bundle_;  // borrowed
};

}  // namespace writ
