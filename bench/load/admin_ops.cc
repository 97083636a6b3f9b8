// SPDX-License-Identifier: Apache-2.0
//
// Operations of an administrator, over the admin socket.
#include <algorithm>

#include "bench/load/stubs.h"
#include "core/crypto/csr.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

namespace entryv1 = spire::api::server::entry::v1;
namespace svidv1 = spire::api::server::svid::v1;

constexpr size_t kEntriesOfBatch = 500;

Status CreateEntries(entryv1::Entry::Stub& stub,
                     const entryv1::BatchCreateEntryRequest& request) {
  grpc::ClientContext context;
  entryv1::BatchCreateEntryResponse response;
  Status status = FromCall(stub.BatchCreateEntry(&context, request, &response));
  if (!status.ok()) return status;
  for (const auto& result : response.results()) {
    if (result.status().code() != 0) return Internal(result.status().message());
  }
  return OkStatus();
}

// What no earlier run of this process or another has made.
std::string FreshPrefix(const std::string& operation) {
  SystemClock clock;
  return operation + "-" + std::to_string(clock.Now().time_since_epoch().count());
}

}  // namespace

Result<Json> CreateEntriesInBatches(const Deployment& at) {
  auto stub = entryv1::Entry::NewStub(UnixChannel(at.server_socket));
  std::string prefix = FreshPrefix("batch");
  Load load = at.load;
  size_t entries = load.count;
  load.count = (entries + kEntriesOfBatch - 1) / kEntriesOfBatch;
  return Measure(load, [&](size_t batch) {
    entryv1::BatchCreateEntryRequest request;
    size_t end = std::min(entries, (batch + 1) * kEntriesOfBatch);
    for (size_t n = batch * kEntriesOfBatch; n < end; ++n) {
      FillEntry(at, n, prefix, "uid:" + std::to_string(1'000'000 + n), request.add_entries());
    }
    return CreateEntries(*stub, request);
  });
}

Result<Json> CreateEntriesOneByOne(const Deployment& at) {
  auto stub = entryv1::Entry::NewStub(UnixChannel(at.server_socket));
  std::string prefix = FreshPrefix("single");
  return Measure(at.load, [&](size_t n) {
    entryv1::BatchCreateEntryRequest request;
    FillEntry(at, n, prefix, "uid:" + std::to_string(2'000'000 + n), request.add_entries());
    return CreateEntries(*stub, request);
  });
}

Result<Json> MintX509(const Deployment& at) {
  auto stub = svidv1::SVID::NewStub(UnixChannel(at.server_socket));
  KeySigner signer(KeyType::kEcP256);
  std::string csr = TRY(MakeCsr({.uri_sans = {"spiffe://" + at.trust_domain + "/minted"}}, signer));
  return Measure(at.load, [&](size_t) {
    grpc::ClientContext context;
    svidv1::MintX509SVIDRequest request;
    request.set_csr(csr);
    svidv1::MintX509SVIDResponse response;
    return FromCall(stub->MintX509SVID(&context, request, &response));
  });
}

Result<Json> MintJwt(const Deployment& at) {
  auto stub = svidv1::SVID::NewStub(UnixChannel(at.server_socket));
  return Measure(at.load, [&](size_t) {
    grpc::ClientContext context;
    svidv1::MintJWTSVIDRequest request;
    SetId("spiffe://" + at.trust_domain + "/minted", request.mutable_id());
    request.add_audience("api");
    svidv1::MintJWTSVIDResponse response;
    return FromCall(stub->MintJWTSVID(&context, request, &response));
  });
}

}  // namespace writ
