// SPDX-License-Identifier: Apache-2.0
//
// `writ entry` from its words to what reaches a server, and back.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "core/base/file.h"
#include "core/base/mutex.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

namespace entryv1 = spire::api::server::entry::v1;
using WireEntry = spire::api::types::Entry;

// Entries by their IDs; an update overwrites what its mask names of the fields that these tests
// change, or everything.
class EntryServer final : public entryv1::Entry::Service {
 public:
  grpc::Status BatchCreateEntry(grpc::ServerContext*,
                                const entryv1::BatchCreateEntryRequest* request,
                                entryv1::BatchCreateEntryResponse* response) override {
    MutexLock lock(mu_);
    batches_.push_back(request->entries_size());
    for (const WireEntry& entry : request->entries()) {
      *response->add_results()->mutable_entry() = entries_[entry.id()] = entry;
    }
    return grpc::Status::OK;
  }
  grpc::Status BatchUpdateEntry(grpc::ServerContext*,
                                const entryv1::BatchUpdateEntryRequest* request,
                                entryv1::BatchUpdateEntryResponse* response) override {
    MutexLock lock(mu_);
    batches_.push_back(request->entries_size());
    for (const WireEntry& entry : request->entries()) {
      WireEntry& held = entries_[entry.id()];
      if (!request->has_input_mask()) held = entry;
      if (request->input_mask().hint()) held.set_hint(entry.hint());
      if (request->input_mask().additional_attributes()) {
        *held.mutable_additional_attributes() = entry.additional_attributes();
      }
      *response->add_results()->mutable_entry() = held;
    }
    return grpc::Status::OK;
  }
  grpc::Status GetEntry(grpc::ServerContext*, const entryv1::GetEntryRequest* request,
                        WireEntry* response) override {
    MutexLock lock(mu_);
    const auto found = entries_.find(request->id());
    if (found == entries_.end()) return {grpc::StatusCode::NOT_FOUND, "entry not found"};
    *response = found->second;
    return grpc::Status::OK;
  }
  grpc::Status ListEntries(grpc::ServerContext*, const entryv1::ListEntriesRequest*,
                           entryv1::ListEntriesResponse* response) override {
    MutexLock lock(mu_);
    for (const auto& [id, entry] : entries_) *response->add_entries() = entry;
    return grpc::Status::OK;
  }

  WireEntry Get(const std::string& id) {
    MutexLock lock(mu_);
    return entries_[id];
  }
  // How many entries each call brought since this was last asked.
  std::vector<int> TakeBatches() {
    MutexLock lock(mu_);
    return std::exchange(batches_, {});
  }

 private:
  Mutex mu_;
  std::map<std::string, WireEntry> entries_ GUARDED_BY(mu_);
  std::vector<int> batches_ GUARDED_BY(mu_);
};

class EntryCommandTest : public testing::Test {
 protected:
  EntryCommandTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
    builder.RegisterService(&server_);
    running_ = builder.BuildAndStart();
  }

  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"writ", "entry"});
    words.insert(words.end(), {"--socket", socket_});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    out_.str("");
    error_.str("");
    Session session{.out = &out_, .err = &error_, .clock = &clock_};
    return RunCli(static_cast<int>(argv.size()), argv.data(), session);
  }
  int Create(std::vector<std::string> more) {
    more.insert(more.begin(), {"create", "--entry-id", "e1", "--spiffe-id", "spiffe://a.org/web",
                               "--parent-id", "spiffe://a.org/node", "--selector", "unix:uid:1"});
    return Run(more);
  }
  // "disable_x509_svid_prefetch, jwt_svid_include_jti"
  std::pair<bool, bool> Attributes() {
    const auto attributes = server_.Get("e1").additional_attributes();
    return {attributes.disable_x509_svid_prefetch(), attributes.jwt_svid_include_jti()};
  }

  TempDir dir_;
  const std::string socket_ = dir_ / "s.sock";
  EntryServer server_;
  std::unique_ptr<grpc::Server> running_;
  FakeClock clock_;
  std::ostringstream out_;
  std::ostringstream error_;
};

TEST_F(EntryCommandTest, CreateSetsTheAdditionalAttributes) {
  ASSERT_EQ(Create({"--disable-x509-svid-prefetch"}), 0) << error_.str();
  EXPECT_EQ(Attributes(), std::pair(true, false));
  ASSERT_EQ(Create({"--jwt-svid-include-jti"}), 0) << error_.str();
  EXPECT_EQ(Attributes(), std::pair(false, true));
  ASSERT_EQ(Create({}), 0) << error_.str();
  EXPECT_FALSE(server_.Get("e1").has_additional_attributes());
}

TEST_F(EntryCommandTest, UpdateOfOneAttributeKeepsTheOther) {
  ASSERT_EQ(Create({"--disable-x509-svid-prefetch"}), 0) << error_.str();
  ASSERT_EQ(Run({"update", "--id", "e1", "--jwt-svid-include-jti"}), 0) << error_.str();
  EXPECT_EQ(Attributes(), std::pair(true, true));
  ASSERT_EQ(Run({"update", "--id", "e1", "--disable-x509-svid-prefetch=false"}), 0);
  EXPECT_EQ(Attributes(), std::pair(false, true));
  ASSERT_EQ(Run({"update", "--id", "e1", "--hint", "h"}), 0) << error_.str();
  EXPECT_EQ(Attributes(), std::pair(false, true));
  ASSERT_EQ(Run({"update", "--id", "e1", "--jwt-svid-include-jti=false",
                 "--disable-x509-svid-prefetch"}), 0) << error_.str();
  EXPECT_EQ(Attributes(), std::pair(true, false));
  EXPECT_EQ(Run({"update", "--id", "absent", "--jwt-svid-include-jti"}), 1);
  EXPECT_NE(error_.str().find("entry not found"), std::string::npos) << error_.str();
}

TEST_F(EntryCommandTest, ListThenUpdateOfThatFileLosesNothing) {
  ASSERT_EQ(Create({"--x509-ttl", "1h", "--jwt-ttl", "5m", "--dns-name", "a.test", "--hint", "h",
                    "--admin", "--downstream", "--store-svid", "--expires-at", "1801396800",
                    "--disable-x509-svid-prefetch", "--jwt-svid-include-jti"}), 0)
      << error_.str();
  const std::string before = server_.Get("e1").SerializeAsString();
  const std::string file = dir_ / "entries.json";
  for (std::vector<std::string> command :
       {std::vector<std::string>{"list"}, {"show", "--id", "e1"}}) {
    command.insert(command.end(), {"--output", "json"});
    ASSERT_EQ(Run(command), 0) << error_.str();
    ASSERT_TRUE(WriteFileAtomic(file, out_.str(), 0644).ok());
    ASSERT_EQ(Run({"update", "--file", file}), 0) << error_.str();
    EXPECT_EQ(server_.Get("e1").SerializeAsString(), before);
  }
}

TEST_F(EntryCommandTest, FilesOfManyEntriesAreSentInBatches) {
  const std::string file = dir_ / "entries.yaml";
  for (const std::string command : {"create", "update"}) {
    std::string text;
    for (int i = 0; i < 1201; ++i) {
      text += "- {id: n" + std::to_string(i) + ", hint: " + command + "}\n";
    }
    ASSERT_TRUE(WriteFileAtomic(file, text, 0644).ok());
    ASSERT_EQ(Run({command, "--file", file}), 0) << error_.str();
    EXPECT_EQ(server_.TakeBatches(), (std::vector<int>{500, 500, 201})) << command;
    EXPECT_EQ(error_.str(), "sent 500 of 1201\nsent 1000 of 1201\nsent 1201 of 1201\n");
    for (const char* id : {"n0", "n500", "n1200"}) EXPECT_EQ(server_.Get(id).hint(), command);
  }
  ASSERT_EQ(Run({"update", "--id", "n0", "--hint", "h"}), 0) << error_.str();
  EXPECT_EQ(server_.TakeBatches(), std::vector<int>{1});
  EXPECT_EQ(error_.str(), "");
}

TEST_F(EntryCommandTest, UpdateOfNothingIsWrongUse) {
  ASSERT_EQ(Create({}), 0) << error_.str();
  server_.TakeBatches();
  EXPECT_EQ(Run({"update", "--id", "e1"}), 2);
  EXPECT_NE(error_.str().find("what is to change?"), std::string::npos) << error_.str();
  EXPECT_TRUE(server_.TakeBatches().empty());
}

TEST_F(EntryCommandTest, FlagsBesideAFileAreWrongUse) {
  EXPECT_EQ(Run({"create", "--file", "f", "--jwt-svid-include-jti"}), 2);
  EXPECT_NE(error_.str().find("--jwt-svid-include-jti cannot stand beside it"), std::string::npos);
  EXPECT_EQ(Run({"update", "--file", "f", "--disable-x509-svid-prefetch"}), 2);
  EXPECT_EQ(Run({"update", "--file", "f", "--id", "e1"}), 2);
  EXPECT_NE(error_.str().find("--id cannot stand beside it"), std::string::npos) << error_.str();
}

}  // namespace
}  // namespace writ
