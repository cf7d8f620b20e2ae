import './base.css';
import './panel.css';
import './pages.css';
