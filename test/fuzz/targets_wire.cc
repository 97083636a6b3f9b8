// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets of the server's edge: TLS peers, the conversion of messages, calls of its API,
// what the kernel says of a process, and its settings. Apart from targets.cc as they need gRPC.
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "agent/client/convert.h"
#include "attestors/unix/proc_status.h"
#include "core/base/file.h"
#include "core/net/test_tls.h"
#include "core/net/tls_session.h"
#include "server/api/convert.h"
#include "server/api/expires_before.h"
#include "server/config.h"
#include "spire/api/server/agent/v1/agent.pb.h"
#include "spire/api/server/entry/v1/entry.pb.h"
#include "test/fuzz/messages.h"
#include "test/fuzz/server_calls.h"
#include "test/fuzz/targets.h"

namespace writ {
namespace {

constexpr int kHandshakeStepsMax = 100;
constexpr size_t kPeerBytesMax = 64 << 10;  // which a socket takes at once

// An entry that the server takes is one that it can say again, and that an agent takes.
void FuzzEntryMessage(std::string_view input) {
  types::Entry message;
  if (!Parse(input, &message)) return;
  (void)EntryFromProto(message, ExampleOrg());
  Result<Entry> entry = EntryFrom(ExampleOrg(), message);
  if (!entry.ok() || !CheckEntry(*entry).ok()) return;
  entry->id = "id";
  types::Entry said;
  ToProto(*entry, nullptr, &said);
  Result<Entry> again = EntryFrom(ExampleOrg(), said);
  CHECK(again.ok());
  again->id = entry->id;
  CHECK(again->spiffe_id == entry->spiffe_id && again->selectors == entry->selectors &&
        again->dns_names == entry->dns_names);
  CHECK(EntryFromProto(said, ExampleOrg()).ok());
}

void FuzzUpdateMessage(std::string_view input) {
  spire::api::server::entry::v1::BatchUpdateEntryRequest message;
  if (!Parse(input, &message)) return;
  const types::EntryMask* mask = message.has_input_mask() ? &message.input_mask() : nullptr;
  for (const types::Entry& entry : message.entries()) {
    (void)EntryPatch::From(ExampleOrg(), entry, mask);
  }
}

void FuzzFilterMessage(std::string_view input) {
  spire::api::server::entry::v1::ListEntriesRequest message;
  if (!Parse(input, &message)) return;
  const auto& filter = message.filter();
  (void)SelectorMatchFrom(filter.by_selectors());
  (void)FederatesWithMatchFrom(filter.by_federates_with());
  (void)MemberIdFrom(ExampleOrg(), &filter.by_parent_id());
  (void)WorkloadIdFrom(ExampleOrg(), &filter.by_spiffe_id());
  (void)AgentIdFrom(ExampleOrg(), &filter.by_spiffe_id());
  (void)TrustDomainFrom(filter.by_spiffe_id().trust_domain());
}

// What is read is written again in UTC, and read as the same moment.
void FuzzExpiresBefore(std::string_view input) {
  using namespace std::chrono;
  const Result<int64_t> moment = ParseExpiresBefore(input);
  if (!moment.ok()) return;
  const sys_seconds time{seconds(*moment)};
  const year_month_day date(floor<days>(time));
  const hh_mm_ss hour(time - floor<days>(time));
  const int year = static_cast<int>(date.year());
  if (year < 0 || year > 9999) return;  // its offset leads out of what can be written
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d +0000 +00", year,
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(hour.hours().count()), static_cast<int>(hour.minutes().count()),
                static_cast<int>(hour.seconds().count()));
  const Result<int64_t> again = ParseExpiresBefore(text);
  CHECK(again.ok() && *again == *moment);
}

void FuzzPageToken(std::string_view input) {
  Result<int64_t> place = PlaceFrom(input);
  if (!place.ok() || input.empty()) return;
  CHECK(*PlaceFrom(std::to_string(*place)) == *place);
}

void FuzzBundleMessage(std::string_view input) {
  types::Bundle message;
  if (!Parse(input, &message)) return;
  for (const types::JWTKey& key : message.jwt_authorities()) (void)JwtAuthorityFrom(key);
  Result<Bundle> bundle = BundleFromProto(message, ExampleOrg());
  if (!bundle.ok()) return;
  types::Bundle said;
  ToProto(*bundle, nullptr, &said);
  Result<Bundle> again = BundleFromProto(said, ExampleOrg());
  CHECK(again.ok() && *again == *bundle);
}

void FuzzSvidMessage(std::string_view input) {
  types::X509SVID x509;
  if (Parse(input, &x509)) (void)ChainFromProto(x509);
  types::JWTSVID jwt;
  if (!Parse(input, &jwt)) return;
  const SpiffeId id = *SpiffeId::Parse("spiffe://example.org/web");
  (void)JwtFromProto(jwt, id, {"audience"});
}

// Nobody who only talks gets through a handshake that wants a certificate; nothing waits for ever.
void Talk(TlsSide side, std::string_view input) {
  static TestCa ca;
  static const TlsIdentity identity = ca.Issue("spiffe://example.org/spire/server");
  static const SslContextPtr context = MakeSslContext(side, &identity).value();
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  const Fd ours(ends[0]);
  const Fd peer(ends[1]);
  input = input.substr(0, kPeerBytesMax);
  CHECK(write(peer.get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  CHECK(shutdown(peer.get(), SHUT_WR) == 0);
  std::unique_ptr<TlsSession> session =
      TlsSession::Make(side, context.get(), ours.get(), ca.Verifier()).value();
  for (int step = 0; step < kHandshakeStepsMax; ++step) {
    Result<bool> done = session->Handshake();
    if (!done.ok()) return;
    CHECK(!*done);
  }
  CHECK(!"the handshake has neither ended nor failed at the end of its input");
}

void FuzzTlsClient(std::string_view input) { Talk(TlsSide::kServer, input); }
void FuzzTlsServer(std::string_view input) { Talk(TlsSide::kClient, input); }

void FuzzProcStatus(std::string_view input) { (void)ParseProcStatus(input); }

void FuzzSettings(std::string_view input) {
  Result<ServerConfig> config = LoadServerConfig(SettingFlags(input), {});
  if (!config.ok()) return;
  CHECK(config->trust_domain.has_value());
  (void)Warnings(*config);
}

constexpr FuzzTarget kTargets[] = {
    {"bundle_message", FuzzBundleMessage},
    {"entry_message", FuzzEntryMessage},
    {"expires_before", FuzzExpiresBefore},
    {"filter_message", FuzzFilterMessage},
    {"page_token", FuzzPageToken},
    {"proc_status", FuzzProcStatus},
    {"server_call", FuzzServerCall},
    {"server_stream", FuzzServerStream},
    {"settings", FuzzSettings},
    {"svid_message", FuzzSvidMessage},
    {"tls_client", FuzzTlsClient},
    {"tls_server", FuzzTlsServer},
    {"update_message", FuzzUpdateMessage},
};

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

}  // namespace writ
