"""A request and what is stored of its conversation in, where it goes on and what of it is new out.

Clients send the whole conversation again with every turn, or only its newest message, or a window,
or a summary and a window; they edit, ask once more, and put notes before and within. What they send
is kept as a tree. Three questions are asked of each request, one after the other:

1. *Where does it go on?* It is laid beside the tree. Each part of it that stands there as one line
   is a run (`runs`), and one of these decides (`choice`): the whole history; else a call of tools
   that the request answers; else the run with which the least of the request is new, unless an
   older call is answered late, or an answer was edited. One that ends with what waits for an answer
   (`ending`) is a retry. Questions without their answers are no run (`questions`).
2. *What of it is new?* All that is not on the path to the end of this run (`remainder`), and the
   instructions that changed (`instructions`). Of that, some only puts what is on the path in other
   words (`rewordings`): questions, answers, calls of tools and what tools answer (`tool_calls`,
   `path_calls`). The name that a client gives to an answer makes no new one (`given_names`).
3. *Where is it stored?* Behind the run, as far as it does not hang there already (`branches`);
   other words beside what they reword.

The ordinary turn needs none of this: it begins with all that is stored, which one number tells
(`place`, where the questions are asked). docs/merging.md has an example for each kind of client.
Everything here is pure, without I/O; what has to be read for it is the business of `writer`.
"""
