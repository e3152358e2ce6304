# 设置变量
API_KEY="your-api-key"
BASE_URL="http://localhost:8000"
SESSION_ID=$(uuidgen)
USER_ID="user123"

# 1. 发起对话并自动记录
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

# 2. 获取会话历史
curl -X GET "${BASE_URL}/conversations/${SESSION_ID}" \
  -H "Authorization: Bearer ${API_KEY}"

# 3. 手动添加消息到会话
curl -X POST "${BASE_URL}/conversations/${SESSION_ID}/messages" \
  -H "Authorization: Bearer ${API_KEY}" \
  -H "Content-Type: application/json" \
  -d '{
    "role": "user",
    "content": "请给我更多关于深度学习的信息",
    "model_name": "gpt-3.5-turbo"
  }'
