// @connectrpc/connect-web: binary gRPC-web over fetch. Prints what it was told, as JSON.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { AuthService } from "./gen/imagegen/auth/v1/auth_service_pb.js";
import { GenerationService } from "./gen/imagegen/generation/v1/generation_service_pb.js";
import { TaskState } from "./gen/imagegen/generation/v1/task_pb.js";
import { Scope } from "./gen/imagegen/runtime/v1/access_pb.js";

const [baseUrl, username] = process.argv.slice(2);
const password = "correct horse battery";
const transport = createGrpcWebTransport({ baseUrl });
const auth = createClient(AuthService, transport);
const generation = createClient(GenerationService, transport);
const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

async function painted(options) {
  const asked = { prompt: "a lighthouse", model: "sd15", width: 512, height: 512, steps: 20 };
  const { task } = await generation.createTask(asked, options);
  const events = [];
  for await (const { event } of generation.watchTask({ taskId: task.id }, options)) {
    events.push({ kind: event.case, state: TaskState[event.value.state], at: Date.now() });
  }
  return events;
}

async function refused(call) {
  try {
    await call();
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    return {
      code: Code[error.code],
      reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
      fields: error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field)),
    };
  }
}

const registered = await auth.register({ username, email: `${username}@example.com`, password });
const { tokens } = await auth.login({ username, password });
const session = bearer(tokens.accessToken);
const { secret } = await auth.createApiKey({ name: "web", scopes: [Scope.GENERATE, Scope.READ] }, session);
const key = bearer(secret);

console.log(
  JSON.stringify({
    username: registered.user.username,
    bySession: await painted(session),
    byKey: await painted(key),
    me: (await auth.getMe({}, key)).user.username,
    invalid: await refused(() => generation.createTask({ prompt: " ", model: "sd15", width: -1 }, session)),
    missing: await refused(() => generation.getTask({ taskId: registered.user.id }, session)),
    anonymous: await refused(() => auth.getMe({})),
  }),
);
