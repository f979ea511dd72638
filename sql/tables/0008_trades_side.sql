ALTER TABLE market.trades COMMENT COLUMN side 'Aggressor: buy, sell, or unknown where the source does not tell (name)';
