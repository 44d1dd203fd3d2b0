// Package prices knows what models cost: a table that ships with the program, and
// tables that people put in its place. It reads, checks, finds and writes; nothing
// in it calls anybody, keeps state or logs.
//
// A table is one JSON file:
//
//	{
//	  "version": 1,
//	  "source": "where the figures are from, and of which day",
//	  "prices": [
//	    {
//	      "vendor": "google",
//	      "model": "gemini-2.5-pro",
//	      "aliases": ["gemini-pro-latest"],
//	      "prefixes": ["gemini-2.5-pro-preview"],
//	      "from": "2025-06-17",
//	      "context_tokens": 1048576,
//	      "usd_per_mtok": {
//	        "input": 1.25, "cached_input": 0.125, "output": 10,
//	        "over": [{"tokens": 200000, "input": 2.5, "cached_input": 0.25, "output": 15}]
//	      },
//	      "batch_usd_per_mtok": {"input": 0.625, "output": 5}
//	    }
//	  ]
//	}
//
// Amounts are US dollars per million tokens, numbers or decimals in quotes, with at
// most six decimals: a micro-USD. What is left out of a price: cached_input costs as
// input does, reasoning (a part of the output) as output does. Above a size of over the
// whole call costs what stands there. A model that costs nothing says "free": true in
// place of amounts; zeros for both input and output are refused, since tables that
// broke are full of them. batch_usd_per_mtok is what the vendor takes for work that it
// may do later; left out, nobody knows. context_tokens is the size of the context
// window; left out, nobody knows. A model that makes embeddings says "endpoint":
// "embeddings", and its prices are of the input alone:
//
//	{"vendor": "openai", "model": "text-embedding-3-small", "from": "2024-01-25", "endpoint": "embeddings", "usd_per_mtok": {"input": 0.02}}
//
// A model may stand in it several times, with different dates: the latest that is
// not after today (in UTC) holds. Which entries a model's name means:
//
//  1. those that have it as model or alias, else
//  2. those that have it without a date at its end (gpt-5-mini-2025-08-07 means
//     gpt-5-mini, and claude-haiku-4-5@20251001 claude-haiku-4-5), else
//  3. those with the longest prefix that it begins with.
//
// Upper and lower case do not differ. A vendor is who sends the bill, as
// [VendorOf] tells by a base URL: the same model costs different money elsewhere.
//
// Reading is strict. A member that is not known, one that stands twice, an amount that
// cannot be right, a name that two entries claim for the same day: each is refused with
// its line, and a table is read whole or not at all.
package prices
