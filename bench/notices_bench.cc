// SPDX-License-Identifier: Apache-2.0
//
// What a change of an entry costs the server besides its write, with 100,000 entries and a number
// of agents that follow: each agent has the entry by an alias, the worst case. An iteration is one
// update and what every agent takes of it. Zero agents: the write alone, to be taken off.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "server/entry/registry.h"
#include "server/store/store.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int kEntries = 100'000;
const TrustDomain kDomain = *TrustDomain::Parse("example.org");
const Time kNow = FromUnixSeconds(1'790'000'000);

SpiffeId Id(const std::string& path) { return *SpiffeId::FromPath(kDomain, path); }

// A store with all entries below one alias, that every agent has.
struct Scene {
  Scene() {
    std::vector<Entry> batch = {Entry{.id = "alias",
                                      .spiffe_id = Id("/node"),
                                      .parent_id = ServerId(kDomain),
                                      .selectors = {{"n", "1"}}}};
    for (int i = 0; i < kEntries; ++i) {
      batch.push_back(Entry{.id = "entry-" + std::to_string(i),
                            .spiffe_id = Id("/ns/default/sa/" + std::to_string(i)),
                            .parent_id = Id("/node"),
                            .selectors = {{"unix", "uid:" + std::to_string(i)}}});
      if (batch.size() < 1000 && i + 1 < kEntries) continue;
      CHECK(store->entries().Create(std::move(batch), kNow, nullptr).ok());
      batch.clear();
    }
    registry = Registry::Load(*store, kDomain).value();
  }
  static Scene& Get() {
    static Scene scene;
    return scene;
  }

  TempDir directory;
  std::unique_ptr<Store> store =
      OpenSqliteStore({.path = directory / "store.sqlite"}).value();
  std::unique_ptr<Registry> registry;
};

void BM_ChangeToldToAgents(benchmark::State& state) {
  Scene& scene = Scene::Get();
  std::vector<std::unique_ptr<AgentFeed>> feeds;
  int woken = 0;
  for (int64_t i = 0; i < state.range(0); ++i) {
    const SpiffeId agent = Id("/spire/agent/t/" + std::to_string(i));
    CHECK(scene.store->agents()
              .CommitAttestation({.id = agent, .selectors = {{"n", "1"}}}, "", kNow)
              .ok());
    feeds.push_back(scene.registry->Follow(agent, 0, [&] { ++woken; }).value());
    (void)feeds.back()->Take(kNow, 100);
  }
  auto keep = [](const Entry& stored) -> Result<Entry> { return stored; };
  int next = 0;
  for (auto _ : state) {
    next = (next + 7919) % kEntries;
    CHECK(scene.store->entries().Edit({{"entry-" + std::to_string(next), keep}}).ok());
    for (const auto& feed : feeds) CHECK(feed->Take(kNow, 100).put.size() == 1);
  }
}
BENCHMARK(BM_ChangeToldToAgents)->Arg(0)->Arg(1)->Arg(100)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace writ
