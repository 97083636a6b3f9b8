// SPDX-License-Identifier: Apache-2.0
#include "core/net/grpc_channel.h"

namespace writ {

std::shared_ptr<grpc::Channel> UnixChannel(const std::string& path) {
  return grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
}

}  // namespace writ
