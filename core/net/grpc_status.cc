// SPDX-License-Identifier: Apache-2.0
#include "core/net/grpc_server.h"

namespace writ {

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), status.message());
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  bool known = status.error_code() > 0 && status.error_code() <= grpc::StatusCode::UNAUTHENTICATED;
  return Status(known ? static_cast<Code>(status.error_code()) : Code::kUnknown,
                status.error_message());
}

}  // namespace writ
