// SPDX-License-Identifier: Apache-2.0
//
// Server reflection is there where it is asked for, and on that server alone.
#include "core/net/reflection.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/net/grpc_channel.h"
#include "core/net/grpc_server.h"
#include "core/net/health.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"

namespace writ {
namespace {

namespace v1 = grpc::reflection::v1;
namespace v1alpha = grpc::reflection::v1alpha;

class ReflectionTest : public testing::Test {
 protected:
  ~ReflectionTest() override {
    if (server_) server_->Shutdown(system_clock_.Monotonic() + std::chrono::seconds(20));
  }

  void Start(bool reflection) {
    auto server = GrpcServer::Start({.name = "test",
                                     .services = {health_->service()},
                                     .reflection = reflection,
                                     .unix_listeners = {{.path = dir_ / "test.sock"}},
                                     .clock = &system_clock_,
                                     .log = &log_});
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
  }

  // All questions in one conversation, and how it ended.
  template <class Api, class Request, class Response>
  grpc::Status Ask(const std::vector<Request>& questions, std::vector<Response>* answers) {
    auto stub = Api::NewStub(UnixChannel(dir_ / "test.sock"));
    grpc::ClientContext context;
    auto stream = stub->ServerReflectionInfo(&context);
    for (const Request& question : questions) {
      Response answer;
      if (!stream->Write(question) || !stream->Read(&answer)) break;
      answers->push_back(std::move(answer));
    }
    stream->WritesDone();
    return stream->Finish();
  }
  v1::ServerReflectionResponse Ask(const v1::ServerReflectionRequest& question) {
    std::vector<v1::ServerReflectionResponse> answers;
    const grpc::Status status = Ask<v1::ServerReflection>(std::vector{question}, &answers);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answers.empty() ? v1::ServerReflectionResponse() : answers.front();
  }

  TempDir dir_;
  FakeClock clock_;
  SystemClock system_clock_;
  FakeLog log_;
  std::unique_ptr<HealthService> health_ =
      HealthService::Make({.ready = [] { return OkStatus(); }, .clock = &clock_});
  std::unique_ptr<GrpcServer> server_;
};

template <class Response>
std::vector<std::string> ServiceNames(const Response& response) {
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) {
    names.push_back(service.name());
  }
  return names;
}

const std::vector<std::string> kAllServices = {"grpc.health.v1.Health",
                                               "grpc.reflection.v1.ServerReflection",
                                               "grpc.reflection.v1alpha.ServerReflection"};

TEST_F(ReflectionTest, NamesTheServicesOfItsServer) {
  Start(/*reflection=*/true);
  v1::ServerReflectionRequest question;
  question.set_host("here");
  question.set_list_services("");
  const v1::ServerReflectionResponse answer = Ask(question);
  EXPECT_EQ(ServiceNames(answer), kAllServices);
  EXPECT_EQ(answer.valid_host(), "here");
  EXPECT_EQ(answer.original_request().SerializeAsString(), question.SerializeAsString());
}

TEST_F(ReflectionTest, OlderToolsAreAnsweredToo) {
  Start(/*reflection=*/true);
  v1alpha::ServerReflectionRequest question;
  question.set_list_services("");
  std::vector<v1alpha::ServerReflectionResponse> answers;
  ASSERT_TRUE(Ask<v1alpha::ServerReflection>(std::vector{question, question}, &answers).ok());
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(ServiceNames(answers[1]), kAllServices);
}

TEST_F(ReflectionTest, IsUnimplementedWhereItIsNotAskedFor) {
  Start(/*reflection=*/false);
  std::vector<v1::ServerReflectionResponse> answers;
  v1::ServerReflectionRequest question;
  question.set_list_services("");
  EXPECT_EQ(Ask<v1::ServerReflection>(std::vector{question}, &answers).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ReflectionTest, GivesTheFileOfASymbolWithItsImports) {
  Start(/*reflection=*/true);
  v1::ServerReflectionRequest question;
  question.set_file_containing_symbol("spire.api.server.debug.v1.Debug");
  const auto answer = Ask(question);
  std::vector<std::string> files;
  for (const std::string& bytes : answer.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    files.push_back(file.name());
  }
  ASSERT_FALSE(files.empty());
  EXPECT_EQ(files.front(), "spire/api/server/debug/v1/debug.proto");
  EXPECT_NE(std::find(files.begin(), files.end(), "spire/api/types/spiffeid.proto"), files.end());

  v1::ServerReflectionRequest by_name;
  by_name.set_file_by_filename(files.front());
  EXPECT_EQ(Ask(by_name).file_descriptor_response().SerializeAsString(),
            answer.file_descriptor_response().SerializeAsString());
}

TEST_F(ReflectionTest, WhatItDoesNotKnowDoesNotEndTheConversation) {
  Start(/*reflection=*/true);
  std::vector<v1::ServerReflectionRequest> questions(5);
  questions[0].set_file_containing_symbol("no.such.Thing\x01");
  questions[1].set_file_by_filename("none.proto");
  questions[2].mutable_file_containing_extension()->set_containing_type("none");
  questions[3].set_all_extension_numbers_of_type("none");
  std::vector<v1::ServerReflectionResponse> answers;  // the fifth asks nothing
  ASSERT_TRUE(Ask<v1::ServerReflection>(questions, &answers).ok());
  ASSERT_EQ(answers.size(), questions.size());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(answers[i].error_response().error_code(), grpc::StatusCode::NOT_FOUND) << i;
  }
  EXPECT_EQ(answers[4].error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ReflectionTest, NamesThatAreTooLongAreNotLookedUp) {
  Start(/*reflection=*/true);
  std::string name = "a";
  for (int i = 0; i < 100'000; ++i) name += ".a";
  v1::ServerReflectionRequest question;
  question.set_file_containing_symbol(name);
  EXPECT_EQ(Ask(question).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  question.mutable_file_containing_extension()->set_containing_type(name);
  EXPECT_EQ(Ask(question).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ReflectionTest, ConversationsAreBounded) {
  Start(/*reflection=*/true);
  auto stub = v1::ServerReflection::NewStub(UnixChannel(dir_ / "test.sock"));
  v1::ServerReflectionRequest question;
  question.set_list_services("");
  struct Open {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::ServerReflectionRequest,
                                             v1::ServerReflectionResponse>>
        stream;
  };
  std::vector<std::unique_ptr<Open>> open;
  v1::ServerReflectionResponse answer;
  bool answered = true;
  while (answered && open.size() < 1000) {
    open.push_back(std::make_unique<Open>());
    open.back()->stream = stub->ServerReflectionInfo(&open.back()->context);
    answered = open.back()->stream->Write(question) && open.back()->stream->Read(&answer);
  }
  EXPECT_EQ(open.back()->stream->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  open.pop_back();
  EXPECT_GE(open.size(), 8u);
  for (const auto& one : open) one->stream->WritesDone();
  for (const auto& one : open) EXPECT_TRUE(one->stream->Finish().ok());
}

TEST_F(ReflectionTest, KnowsExtensions) {
  Start(/*reflection=*/true);
  v1::ServerReflectionRequest question;
  question.set_all_extension_numbers_of_type("google.protobuf.FieldOptions");
  const auto answer = Ask(question).all_extension_numbers_response();
  EXPECT_EQ(answer.base_type_name(), "google.protobuf.FieldOptions");
}

}  // namespace
}  // namespace writ
