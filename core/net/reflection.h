// SPDX-License-Identifier: Apache-2.0
//
// Server reflection (grpc.reflection.v1 and v1alpha) of all services of one server, for tools
// without proto files. gRPC brings such a service of its own; that one holds a thread for each
// call, and threads that poll for it even when nobody asks (docs/decisions/0007).
//
// Trust: questions are hostile; each is answered from constant descriptors, one at a time.
// Threads: thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

namespace writ {

// For ServerBuilder::SetOption.
std::unique_ptr<grpc::ServerBuilderOption> ReflectionOption();

}  // namespace writ
