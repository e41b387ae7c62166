-- What else the price of a call depends on, so that it can be priced again without its source.
ALTER TABLE core.llm_calls ADD COLUMN cache_write_1h_tokens BIGINT;
ALTER TABLE core.llm_calls ADD COLUMN service_tier VARCHAR;
COMMENT ON COLUMN core.llm_calls.cache_write_1h_tokens IS 'Of the input tokens written to a cache, those that are kept for an hour; NULL if not reported';
COMMENT ON COLUMN core.llm_calls.service_tier IS 'Service tier with prices of its own, such as batch, flex, priority or fast; NULL for the standard one and if not reported';
COMMENT ON COLUMN core.llm_calls.price_source IS 'genai-prices, price-file for a price file of the user, or unpriced';
COMMENT ON COLUMN core.llm_calls.price_version IS 'Version of the price list, or the beginning of the SHA-256 of the price file';
COMMENT ON COLUMN core.llm_calls.price_model IS 'provider/model of the price list or file that the price is of';
