// SPDX-License-Identifier: Apache-2.0
//
// Where tests find what is checked in, and a directory of their own to write to.
#pragma once

#include <string>
#include <string_view>

namespace writ {

// The absolute path of a file of the source tree.
std::string SourcePath(std::string_view relative);

// A fresh 0700 directory, removed with everything in it when the object goes.
class TempDir {
 public:
  TempDir();
  // Below `base`, where that is a directory that may be written to.
  explicit TempDir(const std::string& base);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

}  // namespace writ
