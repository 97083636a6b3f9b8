// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_schema.h"

#include <gtest/gtest.h>

#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

// A store as version 1 wrote it. Never edited: every later version must open it.
constexpr char kVersion1File[] = R"(
PRAGMA application_id = 1465010516;
PRAGMA user_version = 1;
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('closed_cleanly', 1);
CREATE TABLE changes (sequence INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL) STRICT;
INSERT INTO changes VALUES (1, 1, 'e1'), (2, 3, 'spiffe://example.org/spire/agent/join_token/t');
CREATE TABLE ids (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL) STRICT;
INSERT INTO ids VALUES (1, 'spiffe://example.org/web', 1),
                       (2, 'spiffe://example.org/spire/agent/join_token/t', 2);
CREATE TABLE selectors (id INTEGER PRIMARY KEY, type TEXT NOT NULL, value TEXT NOT NULL,
  uses INTEGER NOT NULL, UNIQUE (type, value)) STRICT;
INSERT INTO selectors VALUES (1, 'unix', 'uid:1000', 1), (2, 'unix', 'gid:1000', 2);
CREATE TABLE entries (entry_id TEXT PRIMARY KEY, spiffe_id INTEGER NOT NULL REFERENCES ids (id),
  parent_id INTEGER NOT NULL REFERENCES ids (id), selectors BLOB NOT NULL,
  revision INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  x509_ttl INTEGER NOT NULL, jwt_ttl INTEGER NOT NULL, admin INTEGER NOT NULL,
  downstream INTEGER NOT NULL, store_svid INTEGER NOT NULL,
  has_additional_attributes INTEGER NOT NULL, disable_x509_svid_prefetch INTEGER NOT NULL,
  jwt_svid_include_jti INTEGER NOT NULL, hint TEXT NOT NULL, dns_names TEXT NOT NULL,
  federates_with TEXT NOT NULL, UNIQUE (spiffe_id, parent_id, selectors)) STRICT, WITHOUT ROWID;
CREATE INDEX entries_by_parent ON entries (parent_id);
INSERT INTO entries VALUES ('e1', 1, 2, x'0000000100000002', 3, 1790000000, 0, 60, 30, 0, 1, 0, 0,
  0, 1, 'main', '["web.example.org"]', '["other.test"]');
CREATE TABLE agents (id INTEGER PRIMARY KEY REFERENCES ids (id), attestation_type TEXT NOT NULL,
  serial TEXT NOT NULL, not_after INTEGER NOT NULL, pending_serial TEXT NOT NULL,
  pending_not_after INTEGER NOT NULL, may_reattest INTEGER NOT NULL, banned INTEGER NOT NULL,
  selectors BLOB NOT NULL, agent_version TEXT NOT NULL, attested_at INTEGER NOT NULL) STRICT;
INSERT INTO agents VALUES (2, 'join_token', '77', 1790003600, '', 0, 0, 0, x'00000002', '1.0', 5);
CREATE TABLE join_tokens (token TEXT PRIMARY KEY, expires_at INTEGER NOT NULL,
  alias TEXT REFERENCES entries (entry_id) ON DELETE SET NULL) STRICT, WITHOUT ROWID;
CREATE INDEX join_tokens_by_expiry ON join_tokens (expires_at);
CREATE INDEX join_tokens_by_alias ON join_tokens (alias);
INSERT INTO join_tokens VALUES ('secret', 1790000600, NULL);
CREATE TABLE bundles (trust_domain TEXT PRIMARY KEY, sequence_number INTEGER NOT NULL,
  refresh_hint INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO bundles VALUES ('example.org', 4, 300);
CREATE TABLE x509_authorities (
  trust_domain TEXT NOT NULL REFERENCES bundles (trust_domain) ON DELETE CASCADE,
  position INTEGER NOT NULL, certificate BLOB NOT NULL, tainted INTEGER NOT NULL,
  PRIMARY KEY (trust_domain, position)) STRICT, WITHOUT ROWID;
CREATE TABLE jwt_authorities (
  trust_domain TEXT NOT NULL REFERENCES bundles (trust_domain) ON DELETE CASCADE,
  position INTEGER NOT NULL, key_id TEXT NOT NULL, public_key BLOB NOT NULL,
  expires_at INTEGER NOT NULL, tainted INTEGER NOT NULL,
  PRIMARY KEY (trust_domain, position)) STRICT, WITHOUT ROWID;
CREATE TABLE ca_journal (position INTEGER PRIMARY KEY, authority_id TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL, status INTEGER NOT NULL, key_name TEXT NOT NULL, certificate BLOB NOT NULL,
  public_key BLOB NOT NULL, issued_at INTEGER NOT NULL, not_after INTEGER NOT NULL,
  activated_at INTEGER NOT NULL) STRICT;
INSERT INTO ca_journal VALUES (1, 'ab', 1, 2, 'x509-1', x'3000', x'3001', 10, 20, 11);
)";

class SqliteSchemaTest : public testing::Test {
 protected:
  std::unique_ptr<Sqlite> OpenFile() {
    return Sqlite::Open(path_, Sqlite::Access::kCreate).value();
  }
  void WriteFile(const std::string& sql) {
    Status done = OpenFile()->RunScript(sql);
    ASSERT_TRUE(done.ok()) << done.ToString();
  }

  TempDir directory_;
  const std::string path_ = directory_ / "store.sqlite";
};

TEST_F(SqliteSchemaTest, StoreOfVersion1OpensWithAllThatItHolds) {
  WriteFile(kVersion1File);
  auto opened = OpenSqliteStore({.path = path_});
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  Store& store = **opened;
  Entry entry = *store.entries().Get("e1");
  EXPECT_EQ(entry.spiffe_id.text(), "spiffe://example.org/web");
  EXPECT_EQ(entry.parent_id.text(), "spiffe://example.org/spire/agent/join_token/t");
  EXPECT_EQ(entry.selectors, (Selectors{{"unix", "uid:1000"}, {"unix", "gid:1000"}}));
  EXPECT_EQ(entry.revision, 3);
  EXPECT_EQ(entry.x509_ttl_seconds, 60);
  EXPECT_EQ(entry.jwt_ttl_seconds, 30);
  EXPECT_TRUE(entry.downstream);
  EXPECT_TRUE(entry.jwt_svid_include_jti);
  EXPECT_EQ(entry.hint, "main");
  EXPECT_EQ(entry.dns_names, std::vector<std::string>{"web.example.org"});
  EXPECT_EQ(entry.federates_with, std::vector<std::string>{"other.test"});
  EXPECT_EQ(store.agents().Get(entry.parent_id.text())->serial, "77");
  EXPECT_EQ(store.agents().GetToken("secret")->expires_at, 1'790'000'600);
  EXPECT_EQ(store.bundles().Get(entry.spiffe_id.trust_domain())->sequence_number, 4u);
  EXPECT_EQ(store.journal().Load()->at(0).authority_id, "ab");
  EXPECT_EQ(*store.changes().LastSequence(), 2u);
  EXPECT_TRUE(store.entries().Delete(std::vector<std::string>{"e1"})->at(0).status.ok());
  EXPECT_TRUE(store.Check(true).ok());
}

TEST_F(SqliteSchemaTest, WhatCameBeforeOrdinalsIsOrderedByItsTimeAndBeforeAllNew) {
  WriteFile(kVersion1File);
  WriteFile(R"(
INSERT INTO ids VALUES (3, 'spiffe://example.org/spire/agent/join_token/s', 1);
INSERT INTO entries SELECT 'e0', spiffe_id, 1, selectors, 0, created_at + 5, 0, 0, 0, 0, 0, 0, 0, 0,
  0, '', '', '' FROM entries;
INSERT INTO entries SELECT 'e2', spiffe_id, 3, selectors, 0, created_at - 5, 0, 0, 0, 0, 0, 0, 0, 0,
  0, '', '', '' FROM entries WHERE entry_id = 'e1';
INSERT INTO agents SELECT 3, attestation_type, '78', not_after, '', 0, 0, 0, selectors, '', 4
  FROM agents;
)");
  std::unique_ptr<Store> store = OpenSqliteStore({.path = path_}).value();
  const Entry e1 = *store->entries().Get("e1");
  EXPECT_LT(store->entries().Get("e2")->ordinal, e1.ordinal);
  EXPECT_GT(store->entries().Get("e0")->ordinal, e1.ordinal);
  EXPECT_LT(store->entries().Get("e0")->ordinal, 0);
  const std::string agent = "spiffe://example.org/spire/agent/join_token/";
  EXPECT_LT(store->agents().Get(agent + "s")->ordinal, store->agents().Get(agent + "t")->ordinal);
  Entry added{.spiffe_id = e1.spiffe_id, .parent_id = e1.parent_id, .selectors = {{"a", "b"}}};
  auto made = store->entries().Create({added}, FromUnixSeconds(1), [] { return "e9"; });
  EXPECT_GT(made->at(0).entry->ordinal, 0);
}

TEST_F(SqliteSchemaTest, NewerVersionIsRefusedAndLeftAlone) {
  ASSERT_TRUE(OpenSqliteStore({.path = path_}).value()->Close().ok());
  WriteFile("PRAGMA user_version = 99");
  Status refused = OpenSqliteStore({.path = path_}).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("schema version 99"), std::string::npos);
  EXPECT_EQ(CheckSqliteStore(path_).code(), Code::kFailedPrecondition);
  EXPECT_EQ(*OpenFile()->Number("SELECT value FROM meta"), 1);
}

TEST_F(SqliteSchemaTest, DatabaseOfAnotherProgramIsRefused) {
  WriteFile("CREATE TABLE songs (title TEXT)");
  Status refused = OpenSqliteStore({.path = path_}).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_NE(refused.message().find("another program"), std::string::npos);
}

TEST_F(SqliteSchemaTest, OnlyMissingStepsRunEachOnce) {
  const char* const steps[] = {"CREATE TABLE a (n INTEGER)", "INSERT INTO a VALUES (1)",
                               "INSERT INTO a VALUES (2)"};
  std::unique_ptr<Sqlite> db = OpenFile();
  ASSERT_TRUE(Migrate(*db, std::span(steps).first(2)).ok());
  EXPECT_EQ(*SchemaVersion(*db, steps), 2);
  ASSERT_TRUE(Migrate(*db, steps).ok());
  ASSERT_TRUE(Migrate(*db, steps).ok());
  EXPECT_EQ(*db->Number("SELECT sum(n) FROM a"), 3);
  EXPECT_EQ(*SchemaVersion(*db, steps), 3);
}

TEST_F(SqliteSchemaTest, StepThatFailsIsUndoneWhole) {
  const char* const steps[] = {"CREATE TABLE a (n INTEGER)",
                               "INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)"};
  std::unique_ptr<Sqlite> db = OpenFile();
  Status failed = Migrate(*db, steps);
  EXPECT_EQ(failed.code(), Code::kInternal);
  EXPECT_NE(failed.message().find("schema to version 2"), std::string::npos);
  EXPECT_EQ(*SchemaVersion(*db, steps), 1);
  EXPECT_EQ(*db->Number("SELECT count(*) FROM a"), 0);
}

}  // namespace
}  // namespace writ
