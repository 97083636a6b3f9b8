// SPDX-License-Identifier: Apache-2.0
#include "server/api/front.h"

#include <algorithm>
#include <utility>

#include "core/spiffe/svid.h"
#include "google/rpc/status.pb.h"
#include "spire/api/types/status.pb.h"

namespace writ {
namespace {

// Well below the 8 KiB that HTTP/2 peers accept as headers.
constexpr size_t kWireMessageBytesMax = 2048;
constexpr char kOverloaded[] = "too many calls wait for this server already: try again later";

bool IsOurFault(Code code) {
  return code == Code::kInternal || code == Code::kUnknown || code == Code::kDataLoss ||
         code == Code::kUnavailable;
}

// As SPIRE names them.
std::string RateName(const MethodRow& row) {
  switch (row.rate) {
    case RateClass::kAttestation:
      return "attest agent rate limiting";
    case RateClass::kX509:
      if (row.method() == "RenewAgent") return "renew agent rate limiting";
      if (row.method() == "NewDownstreamX509CA") return "downstream CA signing rate limit";
      return "certificate signing rate limiting";
    case RateClass::kJwt:
      return "JWT signing request rate limiting";
    case RateClass::kPublish:
      return "key publishing rate limiting";
    case RateClass::kPostStatus:
      return "post status rate limiting";
    case RateClass::kWit:
    case RateClass::kNoLimit:
    case RateClass::kNotSaid:
      break;
  }
  return "rate limiting";
}

}  // namespace

std::string WireMessage(const Status& status) {
  std::string text = status.message();
  if (text.size() > kWireMessageBytesMax) {
    text.resize(kWireMessageBytesMax);
    text += "...";
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return text;
}

grpc::Status ToWire(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  auto code = static_cast<grpc::StatusCode>(status.code());
  std::string message = WireMessage(status);
  if (status.reason() == 0) return grpc::Status(code, message);
  spire::api::types::PermissionDeniedDetails why;
  why.set_reason(static_cast<spire::api::types::PermissionDeniedDetails::Reason>(status.reason()));
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  details.add_details()->PackFrom(why);
  return grpc::Status(code, message, details.SerializeAsString());
}

grpc::Status Front::Overloaded() {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, kOverloaded);
}

Result<ApiCaller> Front::Identify(const grpc::CallbackServerContext& context) const {
  const GrpcServer* server = server_.load();
  std::shared_ptr<const Peer> peer = server == nullptr ? nullptr : server->PeerOf(context);
  if (peer == nullptr) return Unavailable("the connection is not known (any more)");
  ApiCaller caller;
  if (peer->kind == Peer::Kind::kUnix) {
    caller.local = true;
    caller.actor = "unix:uid:" + std::to_string(peer->caller->uid());
    return caller;
  }
  caller.address = peer->address;
  if (peer->chain.empty()) {
    caller.actor = "anonymous@" + peer->address;
    return caller;
  }
  Result<SpiffeId> id = SpiffeIdOf(peer->chain.front());
  if (!id.ok()) return Unauthenticated("client certificate: " + id.status().message());
  caller.actor = id->text();
  caller.id = std::move(*id);
  caller.leaf = peer->chain.front();
  return caller;
}

Front::Passage Front::Begin(const MethodRow* row) const {
  return Passage{.call = {.row = row}, .begun = options_.clock->Monotonic()};
}

Status Front::Open(const grpc::CallbackServerContext& context, Passage& passage) const {
  if (context.IsCancelled()) return Cancelled("the caller gave up before its turn came");
  passage.call.caller = TRY(Identify(context));
  TRY(options_.authorization->Check(*passage.call.row, passage.call.caller));
  // What was stored cannot be taken back when its record fails.
  return passage.call.row->recorded ? options_.audit->Check().Annotate("write the audit log")
                                    : OkStatus();
}

MonoTime Front::DeadlineOf(const grpc::CallbackServerContext& context) const {
  const gpr_timespec deadline = gpr_convert_clock_type(context.raw_deadline(), GPR_CLOCK_MONOTONIC);
  if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) return MonoTime::max();
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(GPR_CLOCK_MONOTONIC));
  // What is far off is cut by gRPC to the largest that fits.
  const auto millis = std::chrono::milliseconds(gpr_time_to_millis(left));
  return options_.clock->Monotonic() + std::max<Duration>(millis, Duration::zero());
}

void Front::Admit(const grpc::CallbackServerContext& context, const Call& call, size_t items,
                  std::function<void(Status)> then) const {
  if (call.row->rate == RateClass::kNoLimit || call.caller.local) return then(OkStatus());
  // `call` may have been answered by the time that this is written.
  Log& log = *options_.log;
  const std::string address = call.caller.address;
  const char* method = call.row->full_name;
  // The context lives until the call is finished, which nobody does before its turn.
  auto on_turn = [this, then](Status turn) {
    if (!turn.ok()) return then(std::move(turn));
    if (!Submit([then] { then(OkStatus()); })) then(Unavailable(kOverloaded));
  };
  std::optional<Status> answer =
      options_.limits->Take({.rate = call.row->rate,
                             .address = address,
                             .count = items,
                             .deadline = DeadlineOf(context),
                             .gone = [&context] { return context.IsCancelled(); }},
                            std::move(on_turn));
  if (answer) return then(answer->Annotate("rejecting request due to " + RateName(*call.row)));
  if (log.Enabled(LogLevel::kDebug))
    log.Debug("call waits for its turn", {{"method", method}, {"address", address}});
}

grpc::Status Front::Close(Passage& passage, Status outcome) const {
  if (!passage.call.events.empty()) {
    Status recorded = options_.audit->Append(passage.call.events);
    if (!recorded.ok() && outcome.ok()) outcome = recorded.Annotate("write the audit log");
  }
  LogOutcome(passage.call, outcome);
  options_.metrics->Count(*passage.call.row, outcome.code(),
                          options_.clock->Monotonic() - passage.begun);
  return ToWire(outcome);
}

void Front::LogOutcome(const Call& call, const Status& outcome) const {
  if (outcome.ok()) {
    if (options_.log->Enabled(LogLevel::kDebug)) {
      options_.log->Debug("call answered",
                          {{"method", call.row->full_name}, {"caller", call.caller.actor}});
    }
    return;
  }
  LogLevel level = IsOurFault(outcome.code())                  ? LogLevel::kError
                   : outcome.code() == Code::kPermissionDenied ? LogLevel::kWarn
                                                               : LogLevel::kInfo;
  if (!options_.log->Enabled(level)) return;
  const bool ours = level == LogLevel::kError;  // a disk that is full fails all calls alike
  std::optional<size_t> left_out = failures_.Take(ours ? outcome.message() : std::string_view());
  if (!left_out) return;
  Log::Fields fields = {
      {"method", call.row->full_name}, {"caller", call.caller.actor}, {"error", outcome}};
  if (*left_out > 0) fields.emplace_back("failures_not_logged", *left_out);
  options_.log->Write(level, "call failed", fields);
}

grpc::ServerUnaryReactor* Front::Run(grpc::CallbackServerContext* context, const MethodRow* row,
                                     size_t items, Where where, Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto steps = [this, context, row, items, reactor, work = std::move(work)] {
    auto passage = std::make_shared<Passage>(Begin(row));
    Status opened = Open(*context, *passage);
    if (!opened.ok()) return reactor->Finish(Close(*passage, std::move(opened)));
    Finish finish = [this, reactor, passage](Status outcome) {
      reactor->Finish(Close(*passage, std::move(outcome)));
    };
    Admit(*context, passage->call, items, [passage, work, finish](Status turn) {
      if (!turn.ok()) return finish(std::move(turn));
      work(passage->call, finish);
    });
  };
  if (where == Where::kHere) {
    steps();
  } else if (!Submit(std::move(steps))) {
    reactor->Finish(Overloaded());
  }
  return reactor;
}

}  // namespace writ
