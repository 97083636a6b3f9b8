// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets of the agent: what its server answers, what workloads and operators ask, the
// files that it keeps, and its settings.
#include <algorithm>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "agent/client/entry_sync.h"
#include "agent/client/grpc_calls.h"
#include "agent/client/notices.h"
#include "agent/client/server_faults.h"
#include "agent/config.h"
#include "agent/state/agent_state.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_held_entries.h"
#include "test/fake/fake_log.h"
#include "test/fuzz/agent_calls.h"
#include "test/fuzz/messages.h"
#include "test/fuzz/targets.h"
#include "test/support/paths.h"

namespace writ {
namespace {

namespace entryv1 = spire::api::server::entry::v1;

// What is taken of a notice belongs to the trust domain and can be named.
void FuzzNoticeMessage(std::string_view input) {
  v1::Notice message;
  if (!Parse(input, &message)) return;
  FakeLog log;
  FakeClock clock;
  ServerFaults faults(&clock, &log);
  const Result<Notice> notice = NoticeFromProto(message, ExampleOrg(), faults);
  if (!notice.ok()) return;
  CHECK(notice->changes.put.size() <= static_cast<size_t>(message.entries_size()));
  for (const PackedEntry& entry : notice->changes.put) {
    CHECK(entry.spiffe_id().MemberOf(ExampleOrg()) && !entry.selectors().empty());
  }
  for (const std::string& id : notice->changes.removed) CHECK(ValidateEntryId(id).ok());
  if (notice->bundle) CHECK(!notice->bundle->x509.empty());
}

// The server's side of a conversation, whatever it is asked.
class Answers final : public EntryStream {
 public:
  explicit Answers(std::string_view input) {
    for (std::string_view text : SplitMessages(input)) {
      entryv1::SyncAuthorizedEntriesResponse answer;
      if (!Parse(text, &answer)) return;  // gRPC ends the stream
      answers_.push_back(std::move(answer));
    }
  }
  bool Write(const entryv1::SyncAuthorizedEntriesRequest&, grpc::WriteOptions) override {
    return true;
  }
  bool Read(entryv1::SyncAuthorizedEntriesResponse* answer) override {
    if (answers_.empty()) return false;
    *answer = std::move(answers_.front());
    answers_.pop_front();
    return true;
  }
  bool NextMessageSize(uint32_t*) override { return !answers_.empty(); }
  void WaitForInitialMetadata() override {}
  bool WritesDone() override { return true; }
  grpc::Status Finish() override { return grpc::Status::OK; }

 private:
  std::deque<entryv1::SyncAuthorizedEntriesResponse> answers_;
};

// Nothing is put twice, nothing goes that was not held, and nothing is both.
void FuzzSyncAnswers(std::string_view input) {
  const FakeHeldEntries held = {{"a", 1}, {"b", 2}, {"c", 3}};
  MalformedEntries malformed;
  Answers stream(input);
  const Result<EntryChanges> changes = SyncEntryStream(stream, held, ExampleOrg(), malformed);
  if (!changes.ok()) return;
  const auto after = [](const PackedEntry& a, const PackedEntry& b) { return a.id() >= b.id(); };
  CHECK(std::ranges::adjacent_find(changes->put, after) == changes->put.end());
  for (const std::string& id : changes->removed) {
    CHECK(held.Find(id) != nullptr);
    CHECK(std::ranges::find(changes->put, id, &PackedEntry::id) == changes->put.end());
  }
}

// The details of a refusal, which may hold anything.
void FuzzDenial(std::string_view input) {
  const Status status =
      FromServer(grpc::Status(grpc::PERMISSION_DENIED, "denied", std::string(input)));
  CHECK(status.code() == Code::kPermissionDenied && status.message() == "denied");
  const Denial denial = DenialOf(status);
  CHECK(denial >= Denial::kNone && denial <= Denial::kMustReattest);
}

// The first line says which file; what is read of it is written and read again the same.
void FuzzAgentState(std::string_view input) {
  static const TempDir directory;
  const size_t end = std::min(input.find('\n'), input.size());
  const bool is_bundle = input.substr(0, end) == "bundle.json";
  const std::string path = directory / (is_bundle ? "bundle.json" : "agent-svid.json");
  std::ofstream(path, std::ios::binary) << input.substr(std::min(end + 1, input.size()));
  FakeLog log;
  const std::unique_ptr<AgentState> state =
      MakeFileAgentState(directory.path(), ExampleOrg(), &log);
  if (is_bundle) {
    const std::optional<Bundle> bundle = state->LoadBundle();
    CHECK(bundle.has_value() == log.Lines().empty());
    if (bundle) CHECK(state->StoreBundle(*bundle).ok() && state->LoadBundle() == bundle);
    return;
  }
  const std::optional<StoredSvid> svid = state->LoadSvid();
  CHECK(svid.has_value() == log.Lines().empty());
  if (!svid) return;
  CHECK(state->StoreSvid(*svid).ok());
  const std::optional<StoredSvid> again = state->LoadSvid();
  CHECK(again && again->key_name == svid->key_name && again->chain == svid->chain &&
        again->reattestable == svid->reattestable);
}

void FuzzAgentSettings(std::string_view input) {
  Result<AgentConfig> config = LoadAgentConfig(SettingFlags(input), {});
  if (!config.ok()) return;
  CHECK(config->trust_domain.has_value());
  (void)Warnings(*config);
}

constexpr FuzzTarget kTargets[] = {
    {"agent_call", FuzzAgentCall},
    {"agent_settings", FuzzAgentSettings},
    {"agent_state", FuzzAgentState},
    {"denial", FuzzDenial},
    {"notice_message", FuzzNoticeMessage},
    {"sync_answers", FuzzSyncAnswers},
};

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

}  // namespace writ
