// SPDX-License-Identifier: Apache-2.0
//
// Kills a process that writes to the store, again and again, at random moments: whatever it
// acknowledged is there afterwards, and what is there is consistent.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>

#include "core/base/file.h"
#include "core/base/thread.h"
#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int kKills = 30;
constexpr int kWriters = 3;
constexpr int kAcknowledgedMax = 40;
constexpr uint64_t kSeed = 20260131;

Entry EntryFor(const std::string& id) {
  return Entry{.id = id,
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + id),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/node"),
               .selectors = {{"id", id}}};
}

// The child: writes for ever, and names each entry on `out` once the store has said that it is
// durable.
[[noreturn]] void WriteUntilKilled(const std::string& path, int round, int out) {
  std::unique_ptr<Store> store = OpenSqliteStore({.path = path}).value();
  std::vector<Thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back("write", [&store, out, prefix = std::to_string(round) + "." +
                                                std::to_string(w) + "."](std::stop_token) {
      for (int i = 0;; ++i) {
        const std::string id = prefix + std::to_string(i);
        CHECK(store->entries().Create({EntryFor(id)}, FromUnixSeconds(1), nullptr).ok());
        const std::string line = id + "\n";
        CHECK(write(out, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
      }
    });
  }
  for (Thread& writer : writers) writer.Join();
  _exit(1);
}

// Reads lines until there are `count`, kills the child, then reads what it had still said.
void ReadAndKill(pid_t child, int in, int count, std::set<std::string>& acknowledged) {
  std::string line;
  char byte = 0;
  while (read(in, &byte, 1) == 1) {
    if (byte != '\n') {
      line += byte;
      continue;
    }
    acknowledged.insert(line);
    line.clear();
    if (--count == 0) kill(child, SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the writer ended by itself";
}

void RunAndKill(const std::string& path, int round, int count,
                std::set<std::string>& acknowledged) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Fd in(ends[0]);
  Fd out(ends[1]);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) WriteUntilKilled(path, round, out.get());
  out.Reset();
  ReadAndKill(child, in.get(), count, acknowledged);
}

void ExpectAllThere(const std::string& path, const std::set<std::string>& acknowledged) {
  Result<std::unique_ptr<Store>> store = OpenSqliteStore({.path = path});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  std::set<std::string> stored;
  uint64_t sequence = 0;
  ASSERT_TRUE((*store)->entries().ForEach(&sequence, [&](Entry e) { stored.insert(e.id); }).ok());
  for (const std::string& id : acknowledged) EXPECT_TRUE(stored.contains(id)) << id << " is lost";
  EXPECT_EQ(sequence, stored.size());
  EXPECT_EQ((*store)->changes().Since(0, 1'000'000)->size(), stored.size());
}

TEST(SqliteCrashTest, NothingAcknowledgedIsLostWhenTheWriterIsKilled) {
  TempDir directory;
  const std::string path = directory / "store.sqlite";
  std::mt19937_64 random(kSeed);
  std::set<std::string> acknowledged;
  for (int round = 0; round < kKills && !HasFatalFailure(); ++round) {
    RunAndKill(path, round, 1 + static_cast<int>(random() % kAcknowledgedMax), acknowledged);
    ExpectAllThere(path, acknowledged);
  }
  EXPECT_TRUE(CheckSqliteStore(path).ok());
}

}  // namespace
}  // namespace writ
