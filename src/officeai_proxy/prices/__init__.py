"""What a call cost: token counts and a model's name in, US dollars out; never the network."""
