# Chats, reads the conversation back, and lists those of the user, with requests.

import requests
import uuid

# Where and who.
base_url = "http://localhost:8000"
api_key = "your-api-key"
session_id = str(uuid.uuid4())
user_id = "user123"

headers = {
    "Authorization": f"Bearer {api_key}",
    "Content-Type": "application/json"
}

# 1. A chat, recorded by its headers.
chat_response = requests.post(
    f"{base_url}/v1/chat/completions",
    headers={
        **headers,
        "X-Session-ID": session_id,
        "X-User-ID": user_id
    },
    json={
        "model": "officeai",
        "messages": [
            {"role": "user", "content": "你好，请介绍一下Python编程语言"}
        ]
    }
)

print("AI回复:", chat_response.json())

# 2. The conversation.
history_response = requests.get(
    f"{base_url}/conversations/{session_id}",
    headers=headers
)

print("会话历史:", history_response.json())

# 3. All conversations of the user.
user_conversations = requests.get(
    f"{base_url}/conversations/user/{user_id}",
    headers=headers
)

print("用户所有会话:", user_conversations.json())
