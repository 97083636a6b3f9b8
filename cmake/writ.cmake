# SPDX-License-Identifier: Apache-2.0
#
# writ_folder(<folder> [GRPC] [DEPS folders...] [LIBS targets...])
#   One static library from a folder's *.cc (main.cc and *_test.cc apart), and one test program from
#   its *_test.cc, registered with ctest. GRPC: its files include grpcpp or generated messages.
# writ_plain_test(<target>)
#   A test program without gRPC: built by the target `writ_plain_tests` and listed in
#   plain_tests.txt. These are the tests that the everyday sanitizer builds hold.
# writ_program(<name> <folder>)
#   The program whose main() is <folder>/main.cc.

# By pkg-config: its header must be compiled with the definitions that the library was.
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
add_library(cpp-httplib ALIAS PkgConfig::HTTPLIB)

# gRPC with everything that Debian's pkg-config file forgets; static for release builds.
add_library(writ_grpc INTERFACE)
if(WRIT_STATIC)
  execute_process(COMMAND pkg-config --static --libs grpc++ protobuf absl_synchronization
                  OUTPUT_VARIABLE grpc_static OUTPUT_STRIP_TRAILING_WHITESPACE)
  separate_arguments(grpc_static)
  list(REMOVE_ITEM grpc_static -lssl -lcrypto -lsystemd -lz -lrt -lm -ldl -lpthread -pthread)
  target_link_libraries(writ_grpc INTERFACE -Wl,-Bstatic -Wl,--start-group
                        ${grpc_static} -Wl,--end-group -Wl,-Bdynamic OpenSSL::SSL OpenSSL::Crypto
                        z rt m dl pthread)
else()
  target_link_libraries(writ_grpc INTERFACE PkgConfig::GRPC absl_synchronization)
endif()

if(WRIT_SANITIZE STREQUAL "thread")
  add_library(writ_foreign_threads OBJECT ${CMAKE_SOURCE_DIR}/test/tsan/foreign_threads.cc)
  target_link_libraries(writ_grpc INTERFACE writ_foreign_threads
                        $<TARGET_OBJECTS:writ_foreign_threads> dl)
endif()

# One precompiled header for all files that speak gRPC, one for all tests.
file(WRITE ${CMAKE_BINARY_DIR}/pch/empty.cc "")
add_library(writ_pch_grpc STATIC ${CMAKE_BINARY_DIR}/pch/empty.cc)
target_precompile_headers(writ_pch_grpc PRIVATE <grpcpp/grpcpp.h> <string> <vector> <memory>
                          <functional>)
target_link_libraries(writ_pch_grpc PRIVATE writ_grpc)
if(WRIT_TESTS)
  add_library(writ_pch_test STATIC ${CMAKE_BINARY_DIR}/pch/empty.cc)
  target_precompile_headers(writ_pch_test PRIVATE <gtest/gtest.h> <string> <vector> <memory>
                            <functional>)
  target_link_libraries(writ_pch_test PRIVATE GTest::gtest)
endif()

function(writ_target_name out folder)
  string(REPLACE "/" "_" name ${folder})
  set(${out} writ_${name} PARENT_SCOPE)
endfunction()

if(WRIT_TESTS)
  add_custom_target(writ_plain_tests)
  file(WRITE ${CMAKE_BINARY_DIR}/plain_tests.txt "")
endif()
function(writ_plain_test target)
  add_dependencies(writ_plain_tests ${target})
  file(APPEND ${CMAKE_BINARY_DIR}/plain_tests.txt "${target}\n")
endfunction()

function(writ_folder folder)
  cmake_parse_arguments(ARG "GRPC" "" "DEPS;LIBS" ${ARGN})
  writ_target_name(name ${folder})
  file(GLOB all CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")

  set(links)
  set(plain ON)
  foreach(dep ${ARG_DEPS})
    writ_target_name(dep_name ${dep})
    list(APPEND links ${dep_name})
    if(NOT WRIT_PLAIN_${dep_name})
      set(plain OFF)
    endif()
  endforeach()
  if(ARG_GRPC)
    set(plain OFF)
  endif()
  set(WRIT_PLAIN_${name} ${plain} PARENT_SCOPE)
  if(ARG_GRPC)
    list(APPEND links writ_protos writ_grpc)
  endif()
  list(APPEND links ${ARG_LIBS} Threads::Threads)

  if(sources)
    add_library(${name} STATIC ${sources})
    set(scope PUBLIC)
    if(ARG_GRPC)
      target_precompile_headers(${name} REUSE_FROM writ_pch_grpc)
    endif()
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} ${scope} ${links})

  if(tests AND WRIT_TESTS)
    add_executable(${name}_test ${tests})
    target_precompile_headers(${name}_test REUSE_FROM writ_pch_test)
    target_link_libraries(${name}_test PRIVATE ${name} writ_test_fake GTest::gtest
                          GTest::gtest_main)
    add_test(NAME ${folder} COMMAND ${name}_test)
    if(plain)
      writ_plain_test(${name}_test)
    endif()
  endif()
endfunction()

function(writ_program program folder)
  writ_target_name(name ${folder})
  if(EXISTS ${CMAKE_SOURCE_DIR}/${folder}/main.cc)
    add_executable(${program} ${CMAKE_SOURCE_DIR}/${folder}/main.cc)
    target_link_libraries(${program} PRIVATE ${name})
  endif()
endfunction()

# Fakes that tests of every folder share (real implementations, configured by data).
file(GLOB fakes CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/test/fake/*.cc
     ${CMAKE_SOURCE_DIR}/test/support/*.cc)
add_library(writ_test_fake STATIC ${fakes})
target_include_directories(writ_test_fake PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(writ_test_fake PUBLIC writ_core_spiffe writ_core_base)
set_source_files_properties(${CMAKE_SOURCE_DIR}/test/support/paths.cc PROPERTIES
  COMPILE_DEFINITIONS WRIT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
