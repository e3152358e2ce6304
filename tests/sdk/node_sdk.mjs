// A program with the OpenAI SDK for Node. It calls the proxy named by OPENAI_BASE_URL as a user's
// program would, and prints what it saw.

import OpenAI from 'openai';

const client = new OpenAI({
  maxRetries: 0,
  defaultHeaders: { 'X-Session-ID': process.env.TEST_SESSION, 'X-User-ID': 'sdk' },
});
const ask = (text, more) => ({ model: 'officeai', messages: [{ role: 'user', content: text }], ...more });
const tool = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

async function chat() {
  const reply = await client.chat.completions.create(ask('hello'));
  return { text: reply.choices[0].message.content, tokens: reply.usage.total_tokens };
}

async function stream() {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(ask('stream', { stream: true }))) chunks.push(chunk);
  const text = chunks.map((c) => c.choices[0]?.delta?.content ?? '').join('');
  return { text, chunks: chunks.length, tokens: chunks.at(-1).usage.total_tokens };
}

async function tools() {
  const messages = [{ role: 'user', content: 'call the tool' }];
  const first = await client.chat.completions.create({ model: 'officeai', messages, tools: [tool] });
  const call = first.choices[0].message.tool_calls[0];
  messages.push(first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' });
  const second = await client.chat.completions.create({ model: 'officeai', messages, tools: [tool] });
  return { name: call.function.name, text: second.choices[0].message.content };
}

async function raised(call) {
  try {
    await call();
  } catch (error) {
    return { class: error.constructor.name, status: error.status ?? null, code: error.code ?? null };
  }
  return null;
}

async function drain(text) {
  for await (const _ of await client.chat.completions.create(ask(text, { stream: true })));
}

const create = (text, options) => () => client.chat.completions.create(ask(text), options);
const wrongKey = client.withOptions({ apiKey: 'sk-wrong' });

const models = [];
for await (const model of client.models.list()) models.push(model.id);

console.log(
  JSON.stringify({
    models,
    chat: await chat(),
    stream: await stream(),
    tools: await tools(),
    errors: {
      'wrong key': await raised(() => wrongKey.models.list()),
      'bad session': await raised(create('x', { headers: { 'X-Session-ID': 'a/b' } })),
      'unknown model': await raised(create('fail 404')),
      'too many': await raised(create('fail 429')),
      server: await raised(create('fail 500')),
      "upstream's key": await raised(create('fail 401')),
      'breaks off': await raised(() => drain('break off')),
      'error inside': await raised(() => drain('error inside')),
    },
  }),
);
