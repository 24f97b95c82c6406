// grpc-web: text frames, read while they come. Prints what it was told, as JSON.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import grpcWeb from "grpc-web";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";
import { AuthService } from "./gen/imagegen/auth/v1/auth_service_pb.js";
import { GenerationService } from "./gen/imagegen/generation/v1/generation_service_pb.js";
import { TaskState } from "./gen/imagegen/generation/v1/task_pb.js";
import { Scope } from "./gen/imagegen/runtime/v1/access_pb.js";
import { XMLHttpRequest } from "./xhr.mjs";

globalThis.XMLHttpRequest = XMLHttpRequest;

const [baseUrl, username] = process.argv.slice(2);
const password = "correct horse battery";
const client = new grpcWeb.GrpcWebClientBase({ format: "text" });
const bearer = (token) => ({ authorization: `Bearer ${token}` });

function prepared({ name, methodKind, parent, input, output }, fields) {
  const path = `/${parent.typeName}/${name}`;
  const serialize = (message) => toBinary(input, message);
  const deserialize = (bytes) => fromBinary(output, bytes);
  const descriptor = new grpcWeb.MethodDescriptor(path, methodKind, Object, Object, serialize, deserialize);
  return { url: baseUrl + path, message: create(input, fields), descriptor };
}

function call(method, fields, metadata = {}) {
  const { url, message, descriptor } = prepared(method, fields);
  return client.unaryCall(url, message, metadata, descriptor);
}

function watched(taskId, metadata) {
  const { url, message, descriptor } = prepared(GenerationService.method.watchTask, { taskId });
  const events = [];
  return new Promise((resolve, reject) => {
    client
      .serverStreaming(url, message, metadata, descriptor)
      .on("data", ({ event }) => {
        events.push({ kind: event.case, state: TaskState[event.value.state], at: Date.now() });
      })
      .on("error", reject)
      .on("end", () => resolve(events));
  });
}

async function painted(metadata) {
  const asked = { prompt: "a lighthouse", model: "sd15", width: 512, height: 512, steps: 20 };
  const { task } = await call(GenerationService.method.createTask, asked, metadata);
  return watched(task.id, metadata);
}

async function refused(answer) {
  try {
    await answer;
  } catch (error) {
    const { details } = fromBinary(StatusSchema, Buffer.from(error.metadata["grpc-status-details-bin"], "base64"));
    const found = (schema) =>
      details
        .filter(({ typeUrl }) => typeUrl.endsWith(`/${schema.typeName}`))
        .map(({ value }) => fromBinary(schema, value));
    return {
      code: Object.keys(grpcWeb.StatusCode).find((name) => grpcWeb.StatusCode[name] === error.code),
      reason: found(ErrorInfoSchema)[0]?.reason,
      fields: found(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field)),
    };
  }
}

const { register, login, createApiKey, getMe } = AuthService.method;
const { createTask, getTask } = GenerationService.method;
const registered = await call(register, { username, email: `${username}@example.com`, password });
const { tokens } = await call(login, { username, password });
const session = bearer(tokens.accessToken);
const { secret } = await call(createApiKey, { name: "web", scopes: [Scope.GENERATE, Scope.READ] }, session);
const key = bearer(secret);

console.log(
  JSON.stringify({
    username: registered.user.username,
    bySession: await painted(session),
    byKey: await painted(key),
    me: (await call(getMe, {}, key)).user.username,
    invalid: await refused(call(createTask, { prompt: " ", model: "sd15", width: -1 }, session)),
    missing: await refused(call(getTask, { taskId: registered.user.id }, session)),
    anonymous: await refused(call(getMe, {})),
  }),
);
