// SPDX-License-Identifier: Apache-2.0
#include "test/support/golden.h"

#include <gtest/gtest.h>

#include "core/base/environment.h"
#include "core/base/file.h"
#include "test/support/paths.h"

namespace writ {
namespace {

bool Updating() { return ProcessEnvironment().contains("WRIT_UPDATE_GOLDEN"); }

void ExpectSame(const std::string& relative, std::string_view was, std::string_view is) {
  EXPECT_EQ(was, is) << relative
                     << " is not what the code makes; run this test with WRIT_UPDATE_GOLDEN=1 and "
                        "look at the difference";
}

}  // namespace

void ExpectGolden(const std::string& relative, std::string_view text) {
  const std::string path = SourcePath(relative);
  if (Updating()) {
    EXPECT_TRUE(WriteFileAtomic(path, text, 0644).ok());
    return;
  }
  Result<std::string> golden = ReadFile(path);
  ASSERT_TRUE(golden.ok()) << golden.status().ToString();
  ExpectSame(relative, *golden, text);
}

void ExpectGoldenSection(const std::string& relative, const std::string& name,
                         std::string_view text) {
  const std::string path = SourcePath(relative);
  const std::string begin = "<!-- begin " + name + " -->\n";
  Result<std::string> file = ReadFile(path);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  size_t from = file->find(begin);
  size_t to = file->find("<!-- end " + name + " -->\n");
  ASSERT_TRUE(from != file->npos && to != file->npos && from < to)
      << relative << " has no section " << name;
  from += begin.size();
  if (!Updating()) return ExpectSame(relative, file->substr(from, to - from), text);
  EXPECT_TRUE(WriteFileAtomic(path, file->substr(0, from) + std::string(text) + file->substr(to),
                              0644)
                  .ok());
}

}  // namespace writ
