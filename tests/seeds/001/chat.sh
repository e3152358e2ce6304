# Chats, reads the conversation back, and adds a message by hand, with curl.

# Where and who.
API_KEY="your-api-key"
BASE_URL="http://localhost:8000"
SESSION_ID=$(uuidgen)
USER_ID="user123"

# 1. A chat, recorded by its headers.
curl -X POST "${BASE_URL}/v1/chat/completions" \
  -H "Authorization: Bearer ${API_KEY}" \
  -H "Content-Type: application/json" \
  -H "X-Session-ID: ${SESSION_ID}" \
  -H "X-User-ID: ${USER_ID}" \
  -d '{
    "model": "officeai",
    "messages": [
      {"role": "user", "content": "什么是深度学习？"}
    ]
  }'

# 2. The conversation.
curl -X GET "${BASE_URL}/conversations/${SESSION_ID}" \
  -H "Authorization: Bearer ${API_KEY}"

# 3. A message added by hand.
curl -X POST "${BASE_URL}/conversations/${SESSION_ID}/messages" \
  -H "Authorization: Bearer ${API_KEY}" \
  -H "Content-Type: application/json" \
  -d '{
    "role": "user",
    "content": "请给我更多关于深度学习的信息",
    "model_name": "gpt-3.5-turbo"
  }'
