// Shows /openapi.json to people: each operation with its parameters, bodies and answers by example.

const document_ = await (await fetch("/openapi.json")).json();

function make(tag, content, className = "") {
  const element = Object.assign(document.createElement(tag), { className });
  element.append(...[content].flat());
  return element;
}

const resolve = (schema) =>
  schema.$ref ? schema.$ref.slice(2).split("/").reduce((node, step) => node[step], document_) : schema;

// A schema as a JSON value that shows its shape.
function shape(given) {
  const schema = resolve(given ?? {});
  if (schema.examples) return schema.examples[0];
  if (schema.anyOf) return schema.anyOf.length > 1 && schema.anyOf.at(-1).type === "null" ? shape(schema.anyOf[0]) : null;
  if (schema.properties) return Object.fromEntries(Object.entries(schema.properties).map(([key, value]) => [key, shape(value)]));
  if (schema.type === "array") return [shape(schema.items)];
  return schema.const ?? schema.enum?.join(" | ") ?? schema.format ?? schema.type ?? {};
}

function contentOf({ content = {} }) {
  return Object.entries(content).flatMap(([type, { schema, examples }]) => {
    const shown = examples ? Object.values(examples).map((example) => example.value) : type.endsWith("json") ? [shape(schema)] : [];
    return [make("code", type), ...shown.map((value) => make("pre", JSON.stringify(value, null, 2)))];
  });
}

const headersOf = ({ headers = {} }) =>
  Object.entries(headers).map(([name, { description }]) => make("p", [make("code", name), ` ${description}`]));

function operationOf(path, verb, operation) {
  const parameters = (operation.parameters ?? []).map(({ name, in: place, description = "" }) =>
    make("p", [make("code", name), ` (${place}) ${description}`]));
  const responses = Object.entries(operation.responses).filter(([status]) => status !== "default").map(([status, response]) =>
    make("details", [make("summary", `${status} ${response.description.split("\n")[0]}`), ...headersOf(response), ...contentOf(response)]));
  return make("details", [
    make("summary", [make("code", `${verb.toUpperCase()} ${path}`), ` – ${operation.summary}`]),
    make("p", operation.description ?? "", "prose"),
    ...(parameters.length ? [make("h3", "Parameters"), ...parameters] : []),
    ...(operation.requestBody ? [make("h3", "Body"), ...contentOf(operation.requestBody)] : []),
    make("h3", "Answers"), ...responses,
  ], "panel");
}

const sections = new Map();
for (const [path, item] of Object.entries(document_.paths))
  for (const [verb, operation] of Object.entries(item)) {
    const [tag] = operation.tags;
    if (!sections.has(tag)) sections.set(tag, make("section", make("h2", tag)));
    sections.get(tag).append(operationOf(path, verb, operation));
  }
document.querySelector("main").append(...sections.values());
