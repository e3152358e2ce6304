// Chats and reads the conversation back, with axios.

const axios = require('axios');
const { v4: uuidv4 } = require('uuid');

const baseURL = 'http://localhost:8000';
const apiKey = 'your-api-key';
const sessionId = uuidv4();
const userId = 'user123';

const headers = {
    'Authorization': `Bearer ${apiKey}`,
    'Content-Type': 'application/json'
};

async function chatWithHistory() {
    try {
        // A chat, recorded by its headers.
        const chatResponse = await axios.post(`${baseURL}/v1/chat/completions`, {
            model: 'officeai',
            messages: [
                { role: 'user', content: '请解释什么是机器学习' }
            ]
        }, {
            headers: {
                ...headers,
                'X-Session-ID': sessionId,
                'X-User-ID': userId
            }
        });

        console.log('AI回复:', chatResponse.data);

        // The conversation.
        const historyResponse = await axios.get(
            `${baseURL}/conversations/${sessionId}`,
            { headers }
        );

        console.log('会话历史:', historyResponse.data);

    } catch (error) {
        console.error('错误:', error.response?.data || error.message);
    }
}

chatWithHistory();
