// SPDX-License-Identifier: Apache-2.0
//
// SyncEntryStream: the conversation of SyncAuthorizedEntries from the agent's side. Few entries
// come whole in the first answer; otherwise pages of revisions come, and the agent asks for those
// that it lacks, as many at a time as the first page held.
//
// Trust: the answers are hostile; malformed entries are left out, and bounded like all others.
// Threads: a free function.
#pragma once

#include <grpcpp/grpcpp.h>

#include "agent/client/server_api.h"
#include "agent/client/server_faults.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace writ {

inline constexpr size_t kEntriesMax = 2'000'000;  // that one agent may be authorized for

using EntryStream =
    grpc::ClientReaderWriterInterface<spire::api::server::entry::v1::SyncAuthorizedEntriesRequest,
                                      spire::api::server::entry::v1::SyncAuthorizedEntriesResponse>;

// A failure of the stream itself is Unavailable here; Finish() knows better.
Result<EntryChanges> SyncEntryStream(EntryStream& stream, const HeldEntries& held,
                                     const TrustDomain& td, MalformedEntries& malformed);

}  // namespace writ
