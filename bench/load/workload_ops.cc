// SPDX-License-Identifier: Apache-2.0
//
// Operations of a workload, over the agent's Workload API socket.
#include <unistd.h>

#include <algorithm>
#include <deque>

#include "bench/load/stubs.h"
#include "spiffe/workload/workload.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace writ {
namespace {

namespace entryv1 = spire::api::server::entry::v1;

using Stub = SpiffeWorkloadAPI::Stub;

constexpr size_t kStreamsOfConnection = 100;  // that share one; well under the agent's limit

void Prepare(grpc::ClientContext& context) {
  context.AddMetadata("workload.spiffe.io", "true");
}

// An open FetchX509SVID.
struct X509Stream {
  explicit X509Stream(Stub& stub) {
    Prepare(context);
    reader = stub.FetchX509SVID(&context, X509SVIDRequest());
  }

  Status Next(X509SVIDResponse* response) {
    if (reader->Read(response)) return OkStatus();
    Status status = FromCall(reader->Finish());
    return status.ok() ? Unavailable("the stream ended") : status;
  }

  void End() {
    context.TryCancel();
    (void)reader->Finish();
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<X509SVIDResponse>> reader;
};

Status FirstAnswer(Stub& stub) {
  X509Stream stream(stub);
  X509SVIDResponse response;
  Status status = stream.Next(&response);
  if (status.ok()) stream.End();
  return status;
}

Status FetchJwt(Stub& stub, const std::string& audience) {
  grpc::ClientContext context;
  Prepare(context);
  JWTSVIDRequest request;
  request.add_audience(audience);
  JWTSVIDResponse response;
  return FromCall(stub.FetchJWTSVID(&context, request, &response));
}

bool Holds(const X509SVIDResponse& response, const std::string& spiffe_id) {
  return std::any_of(response.svids().begin(), response.svids().end(),
                     [&](const X509SVID& svid) { return svid.spiffe_id() == spiffe_id; });
}

Status DeleteEntry(entryv1::Entry::Stub& entries, const std::string& id) {
  grpc::ClientContext context;
  entryv1::BatchDeleteEntryRequest request;
  request.add_ids(id);
  entryv1::BatchDeleteEntryResponse response;
  return FromCall(entries.BatchDeleteEntry(&context, request, &response));
}

// Reads updates until the SVID is in one, or no longer is.
Status AwaitSvid(X509Stream& stream, const std::string& spiffe_id, bool there) {
  X509SVIDResponse response;
  do {
    TRY(stream.Next(&response));
  } while (Holds(response, spiffe_id) != there);
  return OkStatus();
}

}  // namespace

Result<Json> WorkloadX509(const Deployment& at) {
  auto shared = SpiffeWorkloadAPI::NewStub(OwnChannel(at.workload_socket));
  return Measure(at.load, [&](size_t) {
    if (!at.own_connection) return FirstAnswer(*shared);
    return FirstAnswer(*SpiffeWorkloadAPI::NewStub(OwnChannel(at.workload_socket)));
  });
}

Result<Json> WorkloadJwtCached(const Deployment& at) {
  auto stub = SpiffeWorkloadAPI::NewStub(OwnChannel(at.workload_socket));
  TRY(FetchJwt(*stub, "cached"));
  return Measure(at.load, [&](size_t) { return FetchJwt(*stub, "cached"); });
}

Result<Json> WorkloadJwtNewAudience(const Deployment& at) {
  auto stub = SpiffeWorkloadAPI::NewStub(OwnChannel(at.workload_socket));
  SystemClock clock;
  std::string run = std::to_string(clock.Now().time_since_epoch().count());
  return Measure(at.load,
                 [&](size_t n) { return FetchJwt(*stub, run + "-" + std::to_string(n)); });
}

Result<Json> WorkloadStreams(const Deployment& at) {
  const pid_t agent = at.load.watched.front().pid;
  std::vector<std::unique_ptr<Stub>> stubs;
  std::deque<X509Stream> streams;
  auto open_one = [&]() -> Status {
    if (at.own_connection || streams.size() % kStreamsOfConnection == 0) {
      stubs.push_back(SpiffeWorkloadAPI::NewStub(OwnChannel(at.workload_socket)));
    }
    X509SVIDResponse response;
    return streams.emplace_back(*stubs.back()).Next(&response);
  };
  // The first ones pay for what all share (arenas, pools): they are not counted.
  const size_t warm = at.load.count / 10;
  for (size_t n = 0; n < warm; ++n) TRY(open_one());
  int64_t before = TRY(ProcessResident(agent));
  for (size_t n = 0; n < at.load.count; ++n) TRY(open_one());
  int64_t after = TRY(ProcessResident(agent));
  for (X509Stream& stream : streams) stream.End();
  Json result = Json::MakeObject();
  result.Set("streams", static_cast<int64_t>(at.load.count));
  result.Set("bytes_each", (after - before) / static_cast<int64_t>(at.load.count));
  return result;
}

Result<Json> EntryToWorkload(const Deployment& at) {
  auto stub = SpiffeWorkloadAPI::NewStub(OwnChannel(at.workload_socket));
  auto entries = entryv1::Entry::NewStub(UnixChannel(at.server_socket));
  X509Stream stream(*stub);
  X509SVIDResponse first;
  TRY(stream.Next(&first));
  SystemClock clock;
  std::string prefix = "latency-" + std::to_string(clock.Now().time_since_epoch().count());
  std::vector<double> milliseconds;
  for (size_t n = 0; n < at.load.count; ++n) {
    entryv1::BatchCreateEntryRequest request;
    auto* entry = request.add_entries();
    FillEntry(at, n, prefix, "uid:" + std::to_string(getuid()), entry);
    std::string id =
        "spiffe://" + entry->spiffe_id().trust_domain() + entry->spiffe_id().path();
    grpc::ClientContext context;
    entryv1::BatchCreateEntryResponse response;
    MonoTime begin = clock.Monotonic();
    TRY(FromCall(entries->BatchCreateEntry(&context, request, &response)));
    TRY(AwaitSvid(stream, id, true));
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(clock.Monotonic() - begin).count());
    TRY(DeleteEntry(*entries, response.results(0).entry().id()));
    TRY(AwaitSvid(stream, id, false));
  }
  stream.End();
  std::sort(milliseconds.begin(), milliseconds.end());
  Json result = Json::MakeObject();
  result.Set("entries", static_cast<int64_t>(at.load.count));
  result.Set("median_ms", milliseconds[milliseconds.size() / 2]);
  result.Set("max_ms", milliseconds.back());
  return result;
}

}  // namespace writ
