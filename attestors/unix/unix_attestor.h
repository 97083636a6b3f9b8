// SPDX-License-Identifier: Apache-2.0
//
// The unix attestor: a process's user and groups, and on request its executable's path and digest.
// Selectors, settings and defaults are SPIRE's: uid, user, gid, group, supplementary_gid,
// supplementary_group; with discover_workload_path also path and, when the size limit is not
// negative, sha256. Effective IDs count. A user or group without a name gives no name selector; a
// failing path or digest fails the attestor whole.
//
// Stricter than SPIRE in two points: a process in more than kSupplementaryGroupsMax groups is
// refused, and so is one that did not connect as root and whose effective IDs are no longer those
// it connected with. Else a caller could connect, start a set-user-ID program in the connected
// process, and be served as root on the connection that it kept.
//
// Digests are cached by device, inode, size, mtime and ctime.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "attestors/workload/workload_attestor.h"
#include "core/base/clock.h"

namespace writ {

struct UnixAttestorOptions {
  bool discover_workload_path = false;
  int64_t workload_size_limit = 0;  // bytes; 0: no limit; negative: no digest
  std::string proc_root = "/proc";  // tests
};

// `clock` is borrowed.
std::unique_ptr<WorkloadAttestor> MakeUnixAttestor(UnixAttestorOptions options, Clock* clock);

}  // namespace writ
