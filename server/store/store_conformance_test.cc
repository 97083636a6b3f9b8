// SPDX-License-Identifier: Apache-2.0
#include "server/store/store_conformance.h"

#include "test/fake/fake_store.h"

namespace writ {
namespace {

std::unique_ptr<Store> OpenFake(const std::string&) { return std::make_unique<FakeStore>(); }

std::unique_ptr<Store> OpenSqlite(const std::string& directory) {
  return OpenSqliteStore({.path = directory + "/store.sqlite"}).value();
}

INSTANTIATE_TEST_SUITE_P(Kinds, StoreConformance,
                         testing::Values(StoreKind{"Fake", OpenFake},
                                         StoreKind{"Sqlite", OpenSqlite}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace writ
